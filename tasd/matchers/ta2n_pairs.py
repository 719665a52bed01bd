"""TA2N's second stage for pairs of prepared videos, without gradients.

What depends on one video is computed once: projections of its frames, and its share of the first
convolution of the offsets with the batch norm folded in. Cells that no pooling reads are left
out: of maps of 7 x 7, 36 of 49 after the first convolution and 4 of 9 after the second. Channels
come last, so that each of a pair's operations runs over whole vectors.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import TINY
from tasd.matchers.ta2n_offsets import (
    HALF,
    REACH,
    Side,
    SpatialOffsets,
    axis_masks,
    inside_places,
    neighbours,
    place_of_cells,
)


@dataclass(frozen=True)
class VideoParts:
    """A video's share in all its pairs.

    keys: of its frames as a support; queries: as a query; values: what its frames add to a map.
    as_support, as_query: its share of the first convolution, in the cells that are pooled.
    taps: the share of each of its values as a query, for the three taps in time, by the place of
        a cell (first, middle or last row and column).
    """

    keys: Float[Tensor, "*videos time channels"]
    queries: Float[Tensor, "*videos time channels"]
    values: Float[Tensor, "*videos time channels"]
    as_support: Float[Tensor, "*videos time cells half"]
    as_query: Float[Tensor, "*videos time cells half"]
    taps: Float[Tensor, "*videos time taps_and_places half"]


@dataclass(frozen=True)
class PreparedMaps:
    """Warped maps, channels last, and the parts that belong to them."""

    maps: Float[Tensor, "*videos time height width channels"]
    parts: VideoParts

    def packed(self) -> Float[Tensor, "videos size"]:
        """Return one vector a video, the size of its maps last."""
        size = self.maps.new_tensor(self.maps.shape[1:4]).expand(len(self.maps), -1)
        pieces = [self.maps, *vars(self.parts).values(), size]
        return torch.cat([piece.flatten(1) for piece in pieces], dim=1)


def unpacked(packed: Float[Tensor, "*videos size"], *, channels: int) -> PreparedMaps:
    """Return what `PreparedMaps.packed` packed."""
    time, height, width = map(int, packed.flatten(0, -2)[0, -3:].tolist())
    cells = len(_kept_places(height, width))
    places = min(3, height) * min(3, width)
    shapes: list[tuple[int, ...]] = [(time, height, width, channels)]
    shapes += [(time, channels)] * 3 + [(time, cells, HALF)] * 2 + [(time, 3 * places, HALF)]
    *pieces, _ = torch.split(packed, [*map(math.prod, shapes), 3], dim=-1)
    maps, *parts = (piece.unflatten(-1, shape) for piece, shape in zip(pieces, shapes, strict=True))
    return PreparedMaps(maps, VideoParts(*parts))


def shares(
    offsets: SpatialOffsets,
    maps: Float[Tensor, "videos channels time height width"],
    values: Float[Tensor, "videos time channels"],
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute ``as_support``, ``as_query`` and ``taps`` of `VideoParts`."""
    height, width = maps.shape[3:]
    scale, shift = folded(offsets.norm1)
    assert offsets.conv1.bias is not None
    halves = []
    for side in ("support", "query"):
        half = offsets.convolved(maps, side)[..., : _kept(height), : _kept(width)]
        halves.append(half.permute(0, 2, 3, 4, 1).flatten(2, 3))
    own = _taps(offsets, values, "support", (height, width))
    brought = torch.stack(
        [
            functional.pad(own[:, :, k], (0, 0, 0, 0, 1, 1))[:, k : k + own.shape[1]]
            for k in range(3)
        ]
    )
    added = brought.sum(dim=0)[:, :, _kept_places(height, width)]
    taps = _taps(offsets, values, "query", (height, width)).flatten(2, 3)
    support = (halves[0] + added + offsets.conv1.bias) * scale + shift
    return support, halves[1] * scale, taps * scale


def folded(norm: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Return scale and shift of a batch norm in evaluation mode."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


def predicted_offsets(
    network: SpatialOffsets,
    support: VideoParts,
    query: VideoParts,
    attention: Float[Tensor, "episodes way query time time"],
    *,
    size: tuple[int, int],
) -> Float[Tensor, "episodes way query time 2"]:
    """Predict the offsets of all pairs, those of one query at a time; ``size``: of the maps."""
    episodes, way, queries, time = attention.shape[:4]
    # (episodes, query, way * time, time of the query * taps)
    weights = (
        neighbours(attention).permute(0, 2, 1, 4, 5, 3).reshape(episodes, queries, -1, 3 * time)
    )
    taps = query.taps.unflatten(3, (3, -1)).flatten(2, 3).flatten(3)
    brought = (weights @ taps).reshape(episodes, queries, way, time, -1, HALF)
    kept, rows = _kept_places(*size), _kept(size[0])
    second = _second_layer(network)
    found = []
    for added, own in zip(brought.unbind(1), query.as_query.unbind(1), strict=True):
        first = added[:, :, :, kept] + support.as_support + own[:, None]
        maps = _pooled_by_two(first.flatten(0, 1).unflatten(2, (rows, -1))).relu()
        hidden = second(maps).amax(dim=2).relu()
        hidden = functional.linear(hidden, network.hidden.weight[..., 0], network.hidden.bias)
        out = functional.linear(hidden.relu(), network.out.weight[..., 0], network.out.bias)
        found.append(out.unflatten(0, (episodes, way)))
    return REACH * torch.tanh(torch.stack(found, dim=2))


def pair_scores(
    support: PreparedMaps, query: PreparedMaps, *, network: SpatialOffsets
) -> Float[Tensor, "episodes query way"]:
    """Score each pair by minus the cosine distances of its aligned frames, summed."""
    parts, others = support.parts, query.parts
    match = parts.keys[:, :, None] @ others.queries[:, None].mT
    attention = (match / math.sqrt(parts.keys.shape[3])).softmax(dim=4)
    size = (support.maps.shape[3], support.maps.shape[4])
    offsets = predicted_offsets(network, parts, others, attention, size=size)
    # (episodes, query, way, time, channels)
    ours = _pooled(support.maps, offsets) + parts.values[:, :, :, None]
    ours = ours.permute(0, 3, 1, 2, 4)
    theirs = _pooled(query.maps, -offsets.transpose(1, 2)).transpose(2, 3)
    order = attention.transpose(1, 2)
    brought = order.flatten(2, 3) @ others.values
    theirs = theirs + brought.reshape(theirs.shape)
    lengths = _lengths(ours) * _lengths(theirs)
    return -(1 - (ours * theirs).sum(dim=4) / lengths).sum(dim=3)


def _pooled(maps: Tensor, offsets: Tensor) -> Tensor:
    """Pool maps around the offsets of each pair: (episodes, videos, time, others, channels)."""
    columns = axis_masks(offsets[..., 0], cells=maps.shape[4])
    rows = axis_masks(offsets[..., 1], cells=maps.shape[3])
    masks = (rows[..., :, None] * columns[..., None, :]).flatten(4).transpose(2, 3)
    return masks @ maps.flatten(3, 4)


def _lengths(frames: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(frames, dim=-1)
    return lengths.clamp(min=TINY)


def _second_layer(network: SpatialOffsets) -> "SecondLayer":
    scale, shift = folded(network.norm2)
    assert network.conv2.bias is not None
    # (rows * columns * channels in, taps in time * channels out)
    weight = (network.conv2.weight * scale[:, None, None, None, None]).permute(3, 4, 1, 2, 0)
    return SecondLayer(weight.flatten(3).flatten(0, 2), network.conv2.bias * scale + shift)


@dataclass(frozen=True)
class SecondLayer:
    """The second convolution of the offsets, its batch norm folded in, as one product."""

    weight: Float[Tensor, "inputs outputs"]
    bias: Float[Tensor, " half"]

    def __call__(
        self, maps: Float[Tensor, "pairs time height width half"]
    ) -> Float[Tensor, "pairs time cells half"]:
        """Convolve; the cells are those that are pooled."""
        height, width = maps.shape[2:4]
        rows, columns = _kept(height), _kept(width)
        around = (0, 0, 1, columns + 1 - width, 1, rows + 1 - height)
        windows = functional.pad(maps, around).unfold(2, 3, 1).unfold(3, 3, 1)
        windows = windows.permute(0, 1, 2, 3, 5, 6, 4).flatten(4).flatten(2, 3)
        before, now, after = (windows @ self.weight).chunk(3, dim=3)
        total = now + self.bias
        total[:, 1:] += before[:, :-1]
        total[:, :-1] += after[:, 1:]
        return total


def _taps(
    offsets: SpatialOffsets, values: Tensor, side: Side, size: tuple[int, int]
) -> Float[Tensor, "videos time 3 places half"]:
    """Convolve maps that hold one vector in all cells, each tap in time by itself."""
    inside = inside_places(*size, like=values)
    kernel = offsets.weight_of(side).permute(2, 0, 3, 4, 1).flatten(2, 3)
    summed = (inside @ kernel).transpose(1, 2)  # (3 taps, places, 128, channels)
    return functional.linear(values, summed.flatten(0, 2)).reshape(
        *values.shape[:2], *summed.shape[:3]
    )


def _kept(cells: int) -> int:
    """Count the cells of a row that pooling by two reads."""
    return max(1, cells - cells % 2)


def _kept_places(height: int, width: int) -> list[int]:
    """Number the place of each pooled cell, row by row."""
    rows, columns = place_of_cells(height)[: _kept(height)], place_of_cells(width)[: _kept(width)]
    return [row * min(3, width) + column for row in rows for column in columns]


def _pooled_by_two(maps: Tensor) -> Tensor:
    """Max-pool (pairs, time, height, width, half) with stride 2, except along a single cell."""
    if maps.shape[2] > 1:
        maps = torch.maximum(maps[:, :, 0::2], maps[:, :, 1::2])
    if maps.shape[3] > 1:
        maps = torch.maximum(maps[:, :, :, 0::2], maps[:, :, :, 1::2])
    return maps
