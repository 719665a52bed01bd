"""Context encoders of ITANet: attention over positions, and over groups of channels."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SIDE = 7  # rows and columns that keys and queries of the groups are computed from
KEYS = 64  # their width


class SpatialContext(nn.Module):
    """Attention of each position of a frame to all others, without its residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Conv1d(width, max(1, width // 2), 1)
        self.key = nn.Conv1d(width, max(1, width // 2), 1)
        self.value = nn.Conv1d(width, width, 1)

    def forward(
        self, frames: Float[Tensor, "frames width rows columns"]
    ) -> Float[Tensor, "frames width rows columns"]:
        """Compute A v of each frame, A = softmax(q' k / sqrt(width / 2)) over the positions."""
        flat = frames.flatten(2)
        query, key = self.query(flat), self.key(flat)
        weights = (query.mT @ key / math.sqrt(query.shape[1])).softmax(dim=2)
        # A has a row for each position that asks: its values are columns of v A'.
        read: Tensor = (self.value(flat) @ weights.mT).view(frames.shape)
        return read


class ChannelContext(nn.Module):
    """Attention among groups of channels; a group is its part of the map, without residual.

    Keys and queries are linear in a map of 7 x 7 cells, which maps of another size are averaged
    to; the values keep their size. With one group it is the identity.
    """

    def __init__(self, width: int, *, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.query = nn.Linear(width // groups * SIDE * SIDE, KEYS)
        self.key = nn.Linear(width // groups * SIDE * SIDE, KEYS)

    def forward(
        self, frames: Float[Tensor, "frames width rows columns"]
    ) -> Float[Tensor, "frames width rows columns"]:
        """Compute A v of each frame, A = softmax(q k' / sqrt(64)) over the groups."""
        cells = frames
        if frames.shape[2:] != (SIDE, SIDE):
            cells = functional.adaptive_avg_pool2d(frames, SIDE)
        tokens = cells.unflatten(1, (self.groups, -1)).flatten(2)
        weights = (self.query(tokens) @ self.key(tokens).mT / math.sqrt(KEYS)).softmax(dim=2)
        values = frames.unflatten(1, (self.groups, -1)).flatten(2)
        read: Tensor = (weights @ values).view(frames.shape)
        return read


class Merge(nn.Module):
    """The way of a context back to the map: a 1 x 1 convolution and BatchNorm, zero at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.norm.weight)

    def forward(
        self, context: Float[Tensor, "frames width rows columns"]
    ) -> Float[Tensor, "frames width rows columns"]:
        """Compute what is added to the map."""
        merged: Tensor = self.norm(self.convolution(context))
        return merged


class ContextEncoder(nn.Module):
    """F' = F + W_s F_s + W_c F_c on each frame's map, then the mean over its positions."""

    def __init__(self, width: int, *, groups: int, spatial: bool, channel: bool) -> None:
        super().__init__()
        self.contexts = nn.ModuleDict()
        if spatial:
            self.contexts["spatial"] = SpatialContext(width)
        if channel:
            self.contexts["channel"] = ChannelContext(width, groups=groups)
        self.merges = nn.ModuleDict({name: Merge(width) for name in self.contexts})

    def forward(
        self, maps: Float[Tensor, "videos width time rows columns"]
    ) -> Float[Tensor, "videos time width"]:
        """Compute f, a vector for each frame."""
        videos, _, time = maps.shape[:3]
        frames = maps.transpose(1, 2).flatten(0, 1)
        added = [self.merges[name](context(frames)) for name, context in self.contexts.items()]
        total = torch.stack([frames, *added]).sum(dim=0)
        pooled: Tensor = total.mean(dim=(2, 3)).unflatten(0, (videos, time))
        return pooled
