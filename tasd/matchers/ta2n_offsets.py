"""The second stage of TA2N in space: offsets to the action in the two maps of a pair."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.ta2n_warp import pool_by_two

REACH = 0.75  # the largest offset, as a fraction of half the map
HALF = 128  # channels of the first convolution
SHIFTS = (-0.2, 0.0, 0.2)  # the masks of nine shifted offsets are averaged

Side = Literal["support", "query"]


@dataclass(frozen=True)
class Pairs:
    """Maps of all pairs of a class n and a query m, kept in parts.

    What a pair adds to the two maps is the same in all cells, so it is kept as a vector:
    the class's map is ``support_maps[n] + support_added[n]``, the query's is
    ``query_maps[m] + attention[n, m] @ query_values[m]`` frame by frame.
    """

    support_maps: Float[Tensor, "episodes way channels time height width"]
    query_maps: Float[Tensor, "episodes query channels time height width"]
    support_added: Float[Tensor, "episodes way time channels"]
    query_values: Float[Tensor, "episodes query time channels"]
    attention: Float[Tensor, "episodes way query time time"]


class SpatialOffsets(nn.Module):
    """Network that predicts (x, y) offsets of every frame of every pair from its two maps.

    The first convolution reads 2 x channels for each pair. It is linear, so it is applied once to
    each map, and to what a pair adds as a vector: for 5 classes and 5 queries 50 such
    convolutions become 10.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv1 = nn.Conv3d(2 * channels, HALF, kernel_size=3, padding=1)
        self.norm1 = nn.BatchNorm3d(HALF)
        self.conv2 = nn.Conv3d(HALF, 128, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm3d(128)
        self.hidden = nn.Conv1d(128, 64, kernel_size=1)
        self.out = nn.Conv1d(64, 2, kernel_size=1)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def convolved(
        self, maps: Float[Tensor, "videos channels time height width"], side: Side
    ) -> Float[Tensor, "videos half time height width"]:
        """Apply the first convolution to maps of classes or to maps of queries."""
        return functional.conv3d(maps, self.weight_of(side), padding=1)

    def weight_of(self, side: Side) -> Tensor:
        """Return the kernel of one side: the class's map comes first in a pair."""
        channels = self.channels
        return (
            self.conv1.weight[:, :channels]
            if side == "support"
            else self.conv1.weight[:, channels:]
        )

    def forward(
        self,
        pairs: Pairs,
        support_half: Float[Tensor, "episodes way half time height width"],
        query_half: Float[Tensor, "episodes query half time height width"],
    ) -> Float[Tensor, "episodes way query time 2"]:
        """Predict the offsets, as fractions of half the map."""
        height, width = support_half.shape[4:]
        added = self._added(pairs, height, width)
        first = support_half[:, :, None] + query_half[:, None] + added
        assert self.conv1.bias is not None
        flat = first.flatten(0, 2) + self.conv1.bias[:, None, None, None]
        maps = functional.relu(pool_by_two(self.norm1(flat), over_time=False))
        maps = functional.relu(pool_by_two(self.norm2(self.conv2(maps)), over_time=False))
        hidden = functional.relu(self.hidden(maps.amax(dim=(3, 4))))
        offsets = REACH * torch.tanh(self.out(hidden)).mT
        return offsets.reshape(*pairs.attention.shape[:4], 2)

    def _added(self, pairs: Pairs, height: int, width: int) -> Tensor:
        """Convolve what a pair adds: (e, n, m, 128, time, height, width)."""
        inside = inside_places(height, width, like=pairs.support_added)
        support_taps = self._taps(pairs.support_added, "support", inside)
        query_taps = self._taps(pairs.query_values, "query", inside)
        # Output frame t sums the taps k = 0, 1, 2 of the frames t + k - 1: the support's own
        # frames and, of the query, those that attention brings there from its frames y.
        frames = torch.eye(pairs.attention.shape[3], dtype=inside.dtype, device=inside.device)
        own = torch.einsum("kty,enykx->entx", neighbours(frames), support_taps)
        brought = torch.einsum("enmkty,emykx->enmtx", neighbours(pairs.attention), query_taps)
        places = own[:, :, None] + brought
        places = places.reshape(*places.shape[:4], HALF, min(3, height), min(3, width))
        cells = places[..., place_of_cells(height), :][..., place_of_cells(width)]
        return cells.movedim(3, 4)

    def _taps(self, vectors: Tensor, side: Side, inside: Tensor) -> Tensor:
        """Convolve maps that hold one vector in all cells, each tap in time by itself.

        The kernel is summed over its cells that lie inside the map. The sum differs only between
        first, middle and last rows and columns: (e, videos, frames, 3 taps, 128 * places).
        """
        kernel = self.weight_of(side).permute(2, 0, 3, 4, 1).flatten(2, 3)
        summed = inside @ kernel  # (3 taps, 128, places, channels)
        taps = functional.linear(vectors, summed.flatten(0, 2))
        return taps.reshape(*vectors.shape[:3], 3, -1)


def inside_places(height: int, width: int, *, like: Tensor) -> Float[Tensor, "places taps"]:
    """Mark the taps that lie inside a map, at each place of a cell (first, middle, last)."""
    rows, columns = _taps_inside(height, like), _taps_inside(width, like)
    return torch.einsum("pi,qj->pqij", rows, columns).flatten(2).flatten(0, 1)


def _taps_inside(cells: int, like: Tensor) -> Tensor:
    """Mark the taps that lie inside a row at its first, middle and last cell: (places, 3)."""
    places = range(min(cells, 3))
    inside = [[float(0 <= place + tap - 1 < len(places)) for tap in range(3)] for place in places]
    return like.new_tensor(inside)


def neighbours(rows: Tensor) -> Tensor:
    """Stack the frame before, itself and the next, or zeros: (..., 3, frames, x)."""
    padded = functional.pad(rows, (0, 0, 1, 1))
    frames = rows.shape[-2]
    return torch.stack([padded[..., k : k + frames, :] for k in range(3)], dim=-3)


def place_of_cells(cells: int) -> list[int]:
    """Number each cell of a row: 0 the first, 1 the middle ones, 2 the last (1 of two cells)."""
    return [min(cell, 1) + (cell > 1 and cell == cells - 1) for cell in range(cells)]


def axis_masks(offsets: Float[Tensor, "*frames"], *, cells: int) -> Float[Tensor, "*frames cells"]:
    """Weigh the cells of a row that is moved by an offset; the weights sum to 1.

    Cells that stay inside count fully, those outside less by their distance. Nine shifted
    offsets (three an axis) are averaged; the masks of rows and columns are multiplied, so that
    each axis can average its own three.
    """
    grid = torch.linspace(-1, 1, cells, dtype=offsets.dtype, device=offsets.device)
    shifts = torch.tensor(SHIFTS, dtype=offsets.dtype, device=offsets.device)
    places = grid + (offsets[..., None] + shifts)[..., None]
    outside = (places.abs() - 1).clamp(min=0)
    weights = (1 - outside * (cells - 1) / 2).clamp(min=0)
    return (weights / weights.sum(dim=-1, keepdim=True)).mean(dim=-2)


def pooled(
    maps: Float[Tensor, "episodes videos channels time height width"],
    offsets: Float[Tensor, "episodes videos others time 2"],
) -> Float[Tensor, "episodes videos others time channels"]:
    """Pool the frames of a map around its offsets, for each video that it is paired with."""
    columns = axis_masks(offsets[..., 0], cells=maps.shape[5])
    rows = axis_masks(offsets[..., 1], cells=maps.shape[4])
    masks = (rows[..., :, None] * columns[..., None, :]).flatten(4)
    # e episodes, v videos, o others, t frames, c channels, x cells
    return torch.einsum("evctx,evotx->evotc", maps.flatten(4), masks)
