"""The base class of all backbones, and the published weights that they can start from."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tasd.backbones.packaged import Packaged


@runtime_checkable
class Published(Protocol):
    """Published weights, with the interface of torchvision's weight enumerations."""

    @property
    def url(self) -> str:
        """The address of the file."""

    def get_state_dict(self, *args: Any, **options: Any) -> Mapping[str, Any]:
        """Read the file; download and cache it first if needed."""


@dataclass(frozen=True)
class Pretrained:
    """Published weights and the normalisation that belongs to them (RGB, pixels in 0..1).

    rename: translates a name in the published state dict into one of the backbone's.
    """

    weights: Published | Packaged
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rename: Callable[[str], str] = str


class Backbone(nn.Module):
    """A network of stages in a row, for single frames or, where ``clips`` is set, whole clips.

    stages: (name, module) pairs, named as in torchvision's state dict where it has the network,
    without pool and classifier.
    channels: C of the feature map A.
    pretrained: published weights, by the name that ``network.weights`` uses.
    size: side of the pictures, in pixels, that the published weights were trained on.
    """

    def __init__(
        self,
        stages: Sequence[tuple[str, nn.Module]],
        channels: int,
        *,
        pretrained: Mapping[str, Pretrained],
        clips: bool = False,
        size: int = 224,
    ) -> None:
        super().__init__()
        self.stages = [name for name, _ in stages]
        for name, stage in stages:
            self.add_module(name, stage)
        self.channels = channels
        self.pretrained = pretrained
        self.clips = clips
        self.size = size
        self.gradient_checkpointing = False
        self.batchnorm_frozen = False

    def train(self, mode: bool = True) -> "Backbone":
        """Set training mode; frozen BatchNorm stays in eval mode, so its statistics do not move."""
        super().train(mode)
        if self.batchnorm_frozen:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(
        self, frames: Float[Tensor, "videos time 3 height width"]
    ) -> Float[Tensor, "videos channels time rows columns"]:
        """Compute the feature map A of some clips of normalised frames."""
        videos, time = frames.shape[:2]
        if self.clips:
            return self._run(frames.transpose(1, 2))
        maps = self._run(frames.flatten(0, 1))
        clips: Tensor = maps.unflatten(0, (videos, time))
        return clips.transpose(1, 2)

    def _run(self, maps: Tensor) -> Tensor:
        on = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        for name in self.stages:
            stage = getattr(self, name)
            if not on:
                maps = stage(maps)
                continue
            for block in _blocks(stage):
                if not any(block.children()):
                    maps = block(maps)
                elif self.batchnorm_frozen:  # no statistics move; this form can be compiled
                    maps = checkpoint(block, maps, use_reentrant=False)
                else:
                    contexts = functools.partial(_checkpoint_contexts, block)
                    maps = checkpoint(block, maps, use_reentrant=False, context_fn=contexts)
        return maps


def _blocks(stage: nn.Module) -> list[nn.Module]:
    """Split a stage into the blocks that are checkpointed one by one, to keep less in memory.

    A block stays whole: a ReLU alone works in place on the input that checkpointing keeps.
    """
    parts = list(stage.children())
    row = isinstance(stage, nn.Sequential) and all(any(part.children()) for part in parts)
    return parts if row else [stage]


def _checkpoint_contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of a checkpointed block's forward pass and of its repetition."""
    return contextlib.nullcontext(), _still_statistics(block)


@contextlib.contextmanager
def _still_statistics(block: nn.Module) -> Iterator[None]:
    """Let BatchNorm normalise as before without moving its running statistics a second time."""
    live = [
        (module, module.momentum, module.num_batches_tracked)
        for module in block.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
    ]
    for norm, _, _ in live:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, momentum, count in live:
            norm.momentum, norm.num_batches_tracked = momentum, count
