"""Backbones: clips -> feature maps A. A new one is a file here and a line in `BACKBONES`."""

from collections.abc import Callable

from tasd.backbones.base import Backbone
from tasd.backbones.mobilenet import mobilenet_v2
from tasd.backbones.r2plus1d import r2plus1d_18
from tasd.backbones.resnet import resnet8, resnet18, resnet34, resnet50
from tasd.parts import pick

BACKBONES: dict[str, Callable[[], Backbone]] = {
    "resnet8": resnet8,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "r2plus1d_18": r2plus1d_18,
}

__all__ = ["BACKBONES", "Backbone", "build"]


def build(name: str) -> Backbone:
    """The backbone called ``name`` with random weights. Raises `UserError` for a wrong name."""
    return pick(BACKBONES, name, what="backbone")()
