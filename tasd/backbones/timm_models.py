"""The image models of timm (Wightman, PyTorch Image Models): names, and what each one gives."""

import difflib
import functools
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from tasd.errors import UserError
from tasd.types import Normalisation

PREFIX = "timm/"
# A transformer takes the first of these that its class knows; each lets it read other sizes.
_ANY_SIZE: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False})


@dataclass(frozen=True)
class Described:
    """One model as timm describes it, for pictures of one size.

    options: for `timm.create_model`, beside the name. layout: of `forward_features`: "NCHW",
    "NHWC" or "NLC", tokens. prefix: number of tokens before those of the patches. pooled: True
    where the model's own pooling gives as many channels as its map has.
    size: side of the pictures that the weights were trained on. parameters: their number.
    pixels: mean and deviation that belong to the weights.
    """

    options: dict[str, Any]
    layout: str
    channels: int
    prefix: int
    pooled: bool
    size: int
    parameters: int
    pixels: Normalisation


def library() -> ModuleType:
    """Return timm. Raises `UserError` where it is not installed."""
    try:
        import timm
    except ImportError:
        raise UserError(
            "--backbone timm/NAME needs the package timm, which is not installed; pip install "
            "'tasd[timm]'"
        ) from None
    logging.getLogger("timm").setLevel(logging.ERROR)  # our own errors say what is wrong
    return timm


def check_name(name: str) -> str:
    """Return timm's name of ``timm/NAME``. Raises `UserError`, which names the nearest models."""
    timm, short = library(), name.removeprefix(PREFIX)
    base, _, tag = short.partition(".")
    tagged = set(timm.list_models(include_tags=True))
    if base in set(timm.list_models()) and (not tag or short in tagged):
        return short
    tags = [known for known in tagged if known.startswith(f"{base}.")]
    near = difflib.get_close_matches(short, tags or [*tagged, *timm.list_models()], n=3, cutoff=0.4)
    close = ", ".join(f"timm/{other}" for other in near) or "none"
    raise UserError(
        f"timm {timm.__version__} has no model {short!r}; the nearest: {close}; tasd backbones "
        "'timm/*WORD*' lists them"
    )


def create(short: str, options: dict[str, Any]) -> nn.Module:
    """Build a model of timm without its classifier, with random weights."""
    network: nn.Module = library().create_model(short, num_classes=0, **options)
    return network


@functools.cache
def describe(name: str, size: int | None = None) -> Described:
    """Look at ``timm/NAME`` without memory for its weights.

    size: side of the pictures; by default the one that its weights were trained on.

    Raises `UserError` for a name that timm has not, and for a model without feature maps or one
    that cannot read pictures of this size.
    """
    short = check_name(name)
    network, options = _created(short)
    resolved = library().data.resolve_model_data_config(network)
    channels_in, own_size, _ = resolved["input_size"]
    if channels_in != 3:
        raise UserError(f"--backbone {name} reads {channels_in} channels, and clips have 3")
    side = own_size if size is None else size
    try:
        with torch.no_grad():
            found = network.forward_features(torch.zeros(2, 3, side, side, device="meta"))
    except Exception as error:  # timm's models refuse a size in many ways
        raise _wrong_size(name, side, own_size, error) from None
    channels = int(network.num_features)
    layout, prefix = _layout(name, found, channels, int(getattr(network, "num_prefix_tokens", 0)))
    return Described(
        options=options,
        layout=layout,
        channels=channels,
        prefix=prefix,
        pooled=_pools(network, found, channels),
        size=own_size,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        pixels=Normalisation(tuple(resolved["mean"]), tuple(resolved["std"])),
    )


def _created(short: str) -> tuple[Any, dict[str, Any]]:
    config = library().models.get_pretrained_cfg(short)
    fixed = config is not None and config.fixed_input_size
    for options in _ANY_SIZE if fixed else ():
        try:
            network = _on_meta(short, options)
            side = config.input_size[-1]
            with torch.no_grad():
                network.forward_features(torch.zeros(1, 3, side, side, device="meta"))
        except (TypeError, AssertionError, RuntimeError):
            continue  # its class has no such option, or reads its own size only without it
        return network, options
    return _on_meta(short, {}), {}


def _on_meta(short: str, options: dict[str, Any]) -> Any:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return create(short, options).eval()


def _layout(name: str, found: Any, channels: int, prefix: int) -> tuple[str, int]:
    """Return the layout of a model's output and its number of prefix tokens."""
    shape: Sequence[int] = found.shape if isinstance(found, Tensor) else ()
    if len(shape) == 4 and shape[1] == channels:
        return "NCHW", 0
    if len(shape) == 4 and shape[3] == channels:
        return "NHWC", 0
    if len(shape) == 3 and shape[2] == channels:
        patches = shape[1] - prefix
        if patches > 1 and math.isqrt(patches) ** 2 == patches:
            return "NLC", prefix
    given = f"an output of shape {tuple(shape[1:])}" if len(shape) else "several outputs"
    raise UserError(
        f"--backbone {name} gives no feature map: it has {given} for a picture; take another model"
    )


def _pools(network: Any, found: Tensor, channels: int) -> bool:
    try:
        pooled = network.forward_head(found, pre_logits=True)
    except Exception:  # a head that timm itself cannot run without its classifier
        return False
    return isinstance(pooled, Tensor) and pooled.shape == (len(found), channels)


def _wrong_size(name: str, side: int, own_size: int, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [""])[0].rstrip(".")[:120]
    if side == own_size:
        return UserError(f"--backbone {name} cannot be run ({reason}); take another model")
    return UserError(
        f"--backbone {name} cannot read a crop of {side} pixels ({reason}); set data.crop to "
        f"{own_size}, the size of its weights"
    )
