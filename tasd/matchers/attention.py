"""Position encodings and attention layers that several matchers share."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

BASE = 10_000.0


def waves(
    positions: int, exponents: Float[Tensor, " channels"]
) -> Float[Tensor, "positions channels"]:
    """Compute sin(p / 10000^e) in the even channels, cos in the odd, for p = 0, 1, 2 ..."""
    steps = torch.arange(positions, dtype=exponents.dtype, device=exponents.device)
    angles = steps[:, None] * torch.exp(-math.log(BASE) * exponents)
    even = torch.arange(len(exponents), device=exponents.device) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos())


class VideoAttention(nn.Module):
    """The layers of LayerNorm(x + Wo MHA(x) + bo), attention whose tokens are videos."""

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(0.05)


class PairedPositions(nn.Module):
    """Positions x + scale * waves(p, 2j / channels): two channels share a frequency; dropout."""

    def __init__(self, channels: int, *, scale: float = 0.1, dropout: float = 0.1) -> None:
        super().__init__()
        self.channels = channels
        self.scale = scale
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*videos time channels"]) -> Float[Tensor, "..."]:
        """Add the positions to the tokens; their shape stays."""
        channel = torch.arange(self.channels, dtype=x.dtype, device=x.device)
        table = waves(x.shape[-2], (channel - channel % 2) / self.channels)
        marked: Tensor = self.dropout(x + self.scale * table)
        return marked


class ScaledPositions(nn.Module):
    """Positions x sqrt(channels / a) + b * waves(p, 2c / channels); dropout.

    The exponents are twice the usual ones, so that each channel has a frequency of its own. The
    published settings differ in a and b.
    """

    def __init__(self, channels: int, *, a: float, b: float, dropout: float = 0.1) -> None:
        super().__init__()
        self.channels = channels
        self.a, self.b = a, b
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*videos time channels"]) -> Float[Tensor, "..."]:
        """Add the positions to the tokens; their shape stays."""
        channel = torch.arange(self.channels, dtype=x.dtype, device=x.device)
        table = waves(x.shape[-2], 2 * channel / self.channels)
        marked: Tensor = self.dropout(x * math.sqrt(self.channels / self.a) + self.b * table)
        return marked


class SelfAttention(nn.Module):
    """Self-attention over the tokens of a video: x + Wo MHA(LayerNorm(x)) + bo."""

    def __init__(self, channels: int, *, heads: int, dropout: float = 0.2) -> None:
        super().__init__()
        assert channels % heads == 0, f"{heads} heads do not divide {channels} channels"
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.to_out = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*videos time channels"]) -> Float[Tensor, "..."]:
        """Let the tokens of each video attend to each other; their shape stays."""
        query, key, value = self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        mixed = multi_head(query, key, value, heads=self.heads)
        attended: Tensor = x + self.dropout(self.to_out(mixed))
        return attended


def multi_head(
    query: Float[Tensor, "*batch queries channels"],
    key: Float[Tensor, "*batch keys channels"],
    value: Float[Tensor, "*batch keys channels"],
    *,
    heads: int,
    dropout: float = 0.0,
    mask: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, "*batch queries channels"]:
    """Compute scaled dot-product attention; a head is a contiguous block of channels.

    mask: true where a query may attend to a key; it broadcasts to (*batch, heads, queries, keys).
    """

    def split(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).transpose(-2, -3)

    mixed = functional.scaled_dot_product_attention(
        split(query), split(key), split(value), attn_mask=mask, dropout_p=dropout
    )
    return mixed.transpose(-2, -3).flatten(-2)
