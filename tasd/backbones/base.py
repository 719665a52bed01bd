"""The base class of all backbones, and the published weights that they can start from."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tasd.backbones.packaged import Packaged
from tasd.backbones.timm_weights import TimmWeights


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

    weights: Published | Packaged | TimmWeights
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rename: Callable[[str], str] = str


@dataclass(frozen=True)
class Pooled:
    """The output of a backbone: maps A, and frames, the vectors that the encoder reads.

    levels: the maps of the last stages, the finest first and A last, where they were asked for.
    """

    maps: Float[Tensor, "videos channels time rows columns"]
    frames: Float[Tensor, "videos time channels"]
    levels: tuple[Float[Tensor, "videos _ time _ _"], ...] = ()


class Backbone(nn.Module):
    """A network of stages in a row, for single frames or, where ``clips`` is set, whole clips.

    stages: (name, module) pairs, named as in torchvision's state dict where it has the network,
    without pool and classifier.
    channels: C of the feature map A.
    pretrained: published weights, by the name that ``network.weights`` uses.
    size: side of the pictures, in pixels, that the published weights were trained on; of a network
    without any, that its authors train on.
    taps: stages or blocks, by name, and the channels of their maps: the last ones at stride 4, 8
    and 16 that come before A. Matchers may ask for these maps. Empty where there are none.

    own_pooling: True where `pooled` does not take the mean of A; `tasd.model` may switch it off.
    """

    def __init__(
        self,
        stages: Sequence[tuple[str, nn.Module]],
        channels: int,
        *,
        pretrained: Mapping[str, Pretrained],
        clips: bool = False,
        size: int = 224,
        taps: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.stages = [name for name, _ in stages]
        for name, stage in stages:
            self.add_module(name, stage)
        self.channels = channels
        self.pretrained = pretrained
        self.clips = clips
        self.size = size
        self.taps = dict(taps or {})
        self.gradient_checkpointing = False
        self.batchnorm_frozen = False
        self.own_pooling = False
        self._staged: Callable[..., tuple[Tensor, ...]] = self._through

    @property
    def file_layout(self) -> Pretrained | None:
        """The layout, mean and deviation of a file: those of the first published weights."""
        return next(iter(self.pretrained.values()), None)

    @property
    def level_channels(self) -> tuple[int, ...]:
        """The channels of the maps that `levels` gives, those of A last."""
        return (*self.taps.values(), self.channels)

    @property
    def saw_kinetics(self) -> bool:
        """True where pretrained weights of this backbone are of Kinetics-400."""
        return "kinetics400" in self.pretrained

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
    ) -> Float[Tensor, "videos channels steps rows columns"]:
        """Compute the feature map A of some clips of normalised frames."""
        videos, time = frames.shape[:2]
        if self.clips:
            return self._run(frames.transpose(1, 2))
        maps = self._run(frames.flatten(0, 1))
        clips: Tensor = maps.unflatten(0, (videos, time))
        return clips.transpose(1, 2)

    def pooled(self, frames: Float[Tensor, "videos time 3 height width"]) -> Pooled:
        """Compute A and, from it, the pooled frames: its mean over rows and columns."""
        maps = self(frames)
        return Pooled(maps, maps.mean(dim=(3, 4), dtype=torch.float32).transpose(1, 2))

    def levels(
        self, frames: Float[Tensor, "videos time 3 height width"], *, count: int
    ) -> tuple[Float[Tensor, "videos _ time _ _"], ...]:
        """Compute the maps of the last ``count`` stages, at most `level_channels`, in one pass."""
        assert 1 < count <= len(self.level_channels), "the backbone has no such stages"
        videos, time = frames.shape[:2]
        found = self._staged(frames.flatten(0, 1), tuple(self.taps)[1 - count :])
        return tuple(maps.unflatten(0, (videos, time)).transpose(1, 2) for maps in found)

    def pooled_levels(
        self, frames: Float[Tensor, "videos time 3 height width"], *, count: int
    ) -> Pooled:
        """Compute what `pooled` does, with the maps of the last ``count`` stages."""
        if count == 1:
            seen = self.pooled(frames)
            return replace(seen, levels=(seen.maps,))
        levels = self.levels(frames, count=count)
        pooled = levels[-1].mean(dim=(3, 4), dtype=torch.float32).transpose(1, 2)
        return Pooled(levels[-1], pooled, levels)

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Compile the pass over frames, and that which keeps the maps of earlier stages."""
        super().compile(*arguments, **options)
        self._staged = torch.compile(self._through, *arguments, **options)

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring a published state dict, or one of a file, into the layout of ``pretrained``."""
        return state

    def steps(self, frames: int) -> int:
        """Return the length in time of A for clips of ``frames`` frames. Raises `UserError`."""
        return frames

    def check_crop(self, crop: int) -> None:
        """Raise `UserError` where pictures of ``crop`` pixels a side cannot be read."""

    def depths(self) -> dict[str, int]:
        """Return the depth of each parameter, 0 nearest to the pixels, by its name.

        A block of a row, as of ResNet's layers, is a layer. The layers of a stem that are no
        blocks count as one.
        """
        found: dict[str, int] = {}
        depth, leaf_before = -1, False
        for stage in self.stages:
            for name, block in _named_blocks(stage, getattr(self, stage)):
                own = {f"{name}.{key}": depth for key, _ in block.named_parameters()}
                if not own:
                    continue
                leaf = not any(block.children())
                depth += not (leaf and leaf_before)
                leaf_before = leaf
                found |= dict.fromkeys(own, depth)
        return found

    def undecayed(self) -> frozenset[str]:
        """Return the names of parameters that weight decay leaves out, beside norms and biases."""
        return frozenset()

    def _run(self, maps: Tensor) -> Tensor:
        return self._through(maps, ())[-1]

    def _through(self, maps: Tensor, taps: Sequence[str]) -> tuple[Tensor, ...]:
        """Return the outputs of the stages or blocks called ``taps``, and of the last stage."""
        found = []
        saving = self.gradient_checkpointing and self.training and torch.is_grad_enabled()
        for name in self.stages:
            stage = getattr(self, name)
            inside = any(tap.startswith(f"{name}.") for tap in taps)
            for block_name, block in (
                _named_blocks(name, stage) if saving or inside else [(name, stage)]
            ):
                maps = self._checkpointed(block, maps) if saving else block(maps)
                if block_name in taps and block_name != name:
                    found.append(maps)
            if name in taps:
                found.append(maps)
        return (*found, maps)

    def _checkpointed(self, block: nn.Module, maps: Tensor) -> Tensor:
        """Run a block whose inner activations are computed again in the backward pass."""
        result: Tensor
        if not any(block.children()):
            result = block(maps)
        elif self.batchnorm_frozen:  # no statistics move; this form can be compiled
            result = checkpoint(block, maps, use_reentrant=False)
        else:
            contexts = functools.partial(_checkpoint_contexts, block)
            result = checkpoint(block, maps, use_reentrant=False, context_fn=contexts)
        return result


def _named_blocks(name: str, stage: nn.Module) -> list[tuple[str, nn.Module]]:
    """Split a stage into the blocks that are checkpointed one by one, to keep less in memory.

    A block stays whole: a ReLU alone works in place on the input that checkpointing keeps.
    """
    parts = [(f"{name}.{place}", part) for place, part in stage.named_children()]
    row = isinstance(stage, nn.Sequential) and all(any(part.children()) for _, part in parts)
    return parts if row else [(name, stage)]


def _checkpoint_contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of a checkpointed block's forward pass and of its repetition."""
    return contextlib.nullcontext(), still_statistics(block)


@contextlib.contextmanager
def still_statistics(block: nn.Module) -> Iterator[None]:
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
