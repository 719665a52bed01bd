"""The encoder of HCL: a transformer layer over all places of all frames of a video."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

PLACES = 10  # entries of each table of positions


class GridPositions(nn.Module):
    """Learned positions of frame, column and row, side by side in the channels.

    A third of the width is the column's and a third the row's; the frame has the rest. The tables
    begin uniform in 0..1 and have ten entries; a larger grid, or more frames, read them by linear
    interpolation (ours: the published code has 8 frames and 7 x 7 places).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        third = width // 3
        self.time = nn.Parameter(torch.rand(PLACES, width - 2 * third))
        self.column = nn.Parameter(torch.rand(PLACES, third))
        self.row = nn.Parameter(torch.rand(PLACES, third))

    def forward(
        self, *, time: int, height: int, width: int
    ) -> Float[Tensor, "time places channels"]:
        """Return the positions of all places, frame by frame and row by row."""
        sizes = (time, height, width)
        each = (
            _entries(self.time, time)[:, None, None].expand(*sizes, -1),
            _entries(self.column, width)[None, None].expand(*sizes, -1),
            _entries(self.row, height)[None, :, None].expand(*sizes, -1),
        )
        return torch.cat(each, dim=3).flatten(1, 2)


def _entries(
    table: Float[Tensor, "places channels"], count: int
) -> Float[Tensor, "count channels"]:
    if count <= len(table):
        return table[:count]
    stretched = functional.interpolate(table.T[None], count, mode="linear", align_corners=True)
    return stretched[0].T


class EncoderLayer(nn.Module):
    """Attention and a feed-forward network, each followed by its layer norm; positions in q, k."""

    def __init__(self, width: int, *, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm_attention, self.norm_feedforward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        tokens: Float[Tensor, "videos places width"],
        positions: Float[Tensor, "places width"],
    ) -> Float[Tensor, "videos places width"]:
        """Let all places of a video attend to each other; the values have no positions."""
        placed = tokens + positions
        seen = self.attention(placed, placed, tokens, need_weights=False)[0]
        tokens = self.norm_attention(tokens + self.dropout(seen))
        inner = self.dropout(functional.gelu(self.widen(tokens)))
        found: Tensor = self.norm_feedforward(tokens + self.dropout(self.narrow(inner)))
        return found


class Encoder(nn.Module):
    """Maps -> tokens: a 1 x 1 convolution, positions, transformer layers.

    The feed-forward network is as wide as the backbone has channels, as in the published code.
    """

    def __init__(
        self, channels: int, *, width: int, layers: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.project = nn.Linear(channels, width)
        self.positions = GridPositions(width)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads=heads, hidden=channels, dropout=dropout)
            for _ in range(layers)
        )

    def forward(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos time places encoded"]:
        """Encode all places of each video, frame by frame and row by row."""
        time, height, width = maps.shape[2:]
        tokens = self.project(maps.permute(0, 2, 3, 4, 1).flatten(1, 3))
        positions = self.positions(time=time, height=height, width=width).flatten(0, 1)
        for layer in self.layers:
            tokens = layer(tokens, positions)
        found: Tensor = tokens.unflatten(1, (time, height * width))
        return found
