"""Backbones: clips -> feature maps A. A new one is a file here and a line in `BACKBONES`.

Every image model of timm is one too, as ``timm/NAME``. torchvision takes nearly as long to import
as torch: a builder imports it when it is called.
"""

import functools
from collections.abc import Callable

import torch

from tasd.backbones.base import Backbone
from tasd.backbones.c3d64 import c3d64
from tasd.backbones.efficientnet_lite import efficientnet_lite0, efficientnet_lite2
from tasd.backbones.mobilenet import mobilenet_v2
from tasd.backbones.r2plus1d import r2plus1d_18
from tasd.backbones.resnet import resnet8, resnet18, resnet34, resnet50
from tasd.backbones.timm_backbone import TimmBackbone
from tasd.backbones.timm_models import PREFIX
from tasd.errors import UserError
from tasd.registry import pick

BACKBONES: dict[str, Callable[[], Backbone]] = {
    "resnet8": resnet8,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_lite0": efficientnet_lite0,
    "efficientnet_lite2": efficientnet_lite2,
    "r2plus1d_18": r2plus1d_18,
    "c3d64": c3d64,
}
DEFAULT_BACKBONE = "efficientnet_lite0"  # where nothing was trained: pip alone brings its weights
CACHED = "features"  # no backbone: features of a frozen one come from a file

__all__ = ["BACKBONES", "CACHED", "DEFAULT_BACKBONE", "Backbone", "build", "described"]


def build(name: str, *, channels: int | None = None) -> Backbone:
    """Build the backbone called ``name`` with random weights. Raises `UserError` for a wrong name.

    channels: those of the cached features; read for the name `CACHED` only.
    """
    if name == CACHED:
        if channels is None:
            raise UserError(
                "network.backbone = 'features' is set by --features FILE; give that option, or "
                f"one of: {', '.join(BACKBONES)}"
            )
        return Backbone([], channels, pretrained={})
    if name.startswith(PREFIX):
        return TimmBackbone(name)
    if name not in BACKBONES:
        pick({**BACKBONES, "timm/NAME": None}, name, what="backbone")
    return BACKBONES[name]()


def described(name: str) -> Backbone:
    """Build the backbone without memory for its weights, for its description alone.

    It is built once and shared: read it and do not change it. Raises `UserError`, also for
    `CACHED`, which describes none.
    """
    if name == CACHED:
        pick({**BACKBONES, "timm/NAME": None}, name, what="backbone")
    return _described(name, BACKBONES.get(name))


@functools.lru_cache
def _described(name: str, builder: Callable[[], Backbone] | None) -> Backbone:
    """As `described`; builder: of that name now, since others can be added to the table."""
    with torch.device("meta"):
        return build(name)
