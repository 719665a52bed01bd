"""Attention of ARN over time and space, and what its self-supervision changes in clip and map."""

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

SMALL = 16  # maps with a side below this are not pooled further by the temporal unit
BLOCKS = 4  # of a jigsaw: 2 x 2 regions of a frame, or parts of a clip's time
PERMUTATIONS = 10  # that a jigsaw draws from
QUARTERS = 4  # of a full turn
Change = Literal["rotation", "spatial_jigsaw", "temporal_jigsaw"]
CLASSES: dict[Change, int] = {
    "rotation": QUARTERS,
    "spatial_jigsaw": PERMUTATIONS,
    "temporal_jigsaw": PERMUTATIONS,
}


def convolution(channels: int, width: int, *, kernel: int = 3) -> nn.Sequential:
    """Return a 3D convolution that keeps the size, BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv3d(channels, width, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )


class _Attention(nn.Module):
    """The convolutions of a unit; the pools between them are those of each."""

    def __init__(self, channels: int, *, width: int = 16) -> None:
        super().__init__()
        self.first, self.second = convolution(channels, width), convolution(width, width)
        self.last = nn.Conv3d(width, 1, 1)


class SpatialAttention(_Attention):
    """The weight S of each position, the same at all times: three convolutions and a sigmoid.

    Layers of ZJUT's code. The second pool there halves the time; here it ends at one step for any
    number of them, which is the same for the 4 and 5 of 16 and 20 frames.
    """

    def forward(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos 1 1 height width"]:
        """Compute S, between 0 and 1."""
        inner = self.first(maps)
        if inner.shape[2] > 1:
            inner = functional.max_pool3d(inner, (2, 1, 1))
        weights: Tensor = self.last(self.second(inner).amax(dim=2, keepdim=True))
        return weights.sigmoid()


class TemporalAttention(_Attention):
    """The weight T of each time, the same at all positions: the mirror of `SpatialAttention`.

    No public code has this unit; the paper says "three 3D convolution blocks and a sigmoid".
    """

    def forward(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos 1 time 1 1"]:
        """Compute T, between 0 and 1."""
        inner = self.first(maps)
        if min(inner.shape[3:]) >= SMALL:
            inner = functional.max_pool3d(inner, (1, 4, 4))
        weights: Tensor = self.last(self.second(inner).amax(dim=(3, 4), keepdim=True))
        return weights.sigmoid()


@functools.cache
def permutations() -> tuple[tuple[int, ...], ...]:
    """Return the `PERMUTATIONS` of a jigsaw's `BLOCKS`, far from each other; the first is none.

    Each is the one with the greatest sum of Hamming distances to those before it, the first in
    lexicographic order of several.
    """
    chosen, rest = [tuple(range(BLOCKS))], list(itertools.permutations(range(BLOCKS)))[1:]
    while len(chosen) < PERMUTATIONS:
        distances = [sum(map(_hamming, chosen, [other] * len(chosen))) for other in rest]
        chosen.append(rest.pop(distances.index(max(distances))))
    return tuple(chosen)


def _hamming(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class Changed:
    """Videos or maps, each changed in one of several ways: a rotation or a permutation.

    label: of each video, which way; 0 leaves it as it is.
    """

    kind: Change
    label: Int64[Tensor, " videos"]

    def of(self, clips: Float[Tensor, "videos *rest"]) -> Float[Tensor, "videos *rest"]:  # noqa: F821
        """Change clips or maps, whose last three dimensions are time, rows and columns.

        A rotation needs as many rows as columns. What is left over where a side is not a multiple
        of the blocks stays in its place.
        """
        changed = [self._one(clip, int(n)) for clip, n in zip(clips, self.label, strict=True)]
        return torch.stack(changed)

    def _one(self, clip: Tensor, label: int) -> Tensor:
        if label == 0:
            return clip
        if self.kind == "rotation":
            return clip.rot90(label, dims=(-2, -1))
        order = permutations()[label]
        if self.kind == "temporal_jigsaw":
            return _shuffled_blocks(clip, order)
        return _shuffled_regions(clip, order)

    def fitted(self, weights: Float[Tensor, "videos 1 time rows columns"]) -> Tensor:
        """Resize attention to a size that `of` changes without a rest; mostly it has it already.

        That is a square for a rotation, even sides for regions, a multiple of the blocks in time.
        """
        time, rows, columns = weights.shape[2:]
        if self.kind == "temporal_jigsaw":
            size = (math.ceil(time / BLOCKS) * BLOCKS, rows, columns)
        elif self.kind == "rotation":
            size = (time, max(rows, columns), max(rows, columns))
        else:
            size = (time, rows + rows % 2, columns + columns % 2)
        if size == (time, rows, columns):
            return weights
        return functional.interpolate(weights, size, mode="trilinear")


def _shuffled_blocks(clip: Tensor, order: tuple[int, ...]) -> Tensor:
    """Block i of the result, in time, is block order[i] of the clip."""
    length = clip.shape[-3] // BLOCKS
    blocks = [clip.narrow(-3, block * length, length) for block in order]
    rest = clip.narrow(-3, BLOCKS * length, clip.shape[-3] - BLOCKS * length)
    return torch.cat([*blocks, rest], dim=-3)


def _shuffled_regions(clip: Tensor, order: tuple[int, ...]) -> Tensor:
    """Region i of the result, row by row of 2 x 2, is region order[i] of the clip."""
    rows, columns = clip.shape[-2] // 2, clip.shape[-1] // 2
    shuffled = clip.clone()
    for place, region in enumerate(order):
        (top, left), (from_top, from_left) = divmod(place, 2), divmod(region, 2)
        source = clip.narrow(-2, from_top * rows, rows).narrow(-1, from_left * columns, columns)
        target = shuffled.narrow(-2, top * rows, rows).narrow(-1, left * columns, columns)
        target.copy_(source)
    return shuffled
