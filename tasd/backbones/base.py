"""What every backbone is: stages in a row, and the constants its weights expect."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@runtime_checkable
class Published(Protocol):
    """Where published weights lie, as torchvision's weight enumerations say it."""

    @property
    def url(self) -> str:
        """The address of the file."""

    def get_state_dict(self, *args: Any, **options: Any) -> Mapping[str, Any]:
        """Download, cache and read it."""


@dataclass(frozen=True)
class Pretrained:
    """Published weights and the normalisation that belongs to them (RGB, pixels in 0..1)."""

    weights: Published
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Backbone(nn.Module):
    """Stages run one after the other on the frames, or on whole clips where ``clips`` is set.

    stages: name -> module, the names as in torchvision's state dict, without pool and classifier.
    channels: C of the feature map A.
    pretrained: by the name that ``network.weights`` uses.
    """

    def __init__(
        self,
        stages: Sequence[tuple[str, nn.Module]],
        channels: int,
        *,
        pretrained: Mapping[str, Pretrained],
        clips: bool = False,
    ) -> None:
        super().__init__()
        self.stages = [name for name, _ in stages]
        for name, stage in stages:
            self.add_module(name, stage)
        self.channels = channels
        self.pretrained = pretrained
        self.clips = clips
        self.gradient_checkpointing = False
        self.batchnorm_frozen = False

    def train(self, mode: bool = True) -> "Backbone":
        """Training mode; frozen BatchNorm stays in eval mode, its statistics untouched."""
        super().train(mode)
        if self.batchnorm_frozen:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(
        self, frames: Float[Tensor, "videos time 3 height width"]
    ) -> Float[Tensor, "videos channels time rows columns"]:
        """The feature map A of some clips of normalised frames."""
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
                elif self.batchnorm_frozen:  # nothing to protect: this form can be compiled
                    maps = checkpoint(block, maps, use_reentrant=False)
                else:
                    again = functools.partial(_computed_twice, block)
                    maps = checkpoint(block, maps, use_reentrant=False, context_fn=again)
        return maps


def _blocks(stage: nn.Module) -> list[nn.Module]:
    """What is computed twice at a time: the smaller, the less is kept meanwhile.

    Only whole blocks: a ReLU alone works in place on what would be kept.
    """
    parts = list(stage.children())
    row = isinstance(stage, nn.Sequential) and all(any(part.children()) for part in parts)
    return parts if row else [stage]


def _computed_twice(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Around the forward pass of a checkpointed block, and around its repetition."""
    return contextlib.nullcontext(), _statistics_at_rest(block)


@contextlib.contextmanager
def _statistics_at_rest(block: nn.Module) -> Iterator[None]:
    """BatchNorm normalises as before, but running statistics do not move a second time."""
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
