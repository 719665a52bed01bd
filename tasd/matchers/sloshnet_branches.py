"""The temporal half of SloshNet: motion between neighbouring frames, attention over all frames."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.attention import PairedPositions

GROUPS, HEADS = 16, 8
EPS = 1e-12  # of the layer norms in the published code


class ShortTerm(nn.Module):
    """CMM: the values of each pixel, gated by the difference of its key to the frame before.

    R_t = conv(k_{t+1}) - conv(q_t), 0 in the last frame; m = sigmoid(W2 gelu(W1 R)); out = m v. The
    convolutions are 3 x 3 and depthwise, their filters shared by 16 groups of channels. The
    published code returns -m v, which the values' weights can absorb.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        own = channels // GROUPS
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.convolve_query, self.convolve_key = (
            nn.Conv2d(own, own, kernel_size=3, padding=1, groups=own, bias=False) for _ in range(2)
        )
        self.narrow = nn.Linear(channels, channels, bias=False)
        self.gate = nn.Linear(channels, channels, bias=False)

    def forward(
        self, pixels: Float[Tensor, "videos time height width channels"]
    ) -> Float[Tensor, "videos time height width channels"]:
        """Gate the values of every pixel by the motion around it."""
        query, key, value = self.qkv(pixels).chunk(3, dim=4)
        query, key = _by_groups(self.convolve_query, query), _by_groups(self.convolve_key, key)
        steps = functional.pad(key[:, 1:] - query[:, :-1], (0, 0, 0, 0, 0, 0, 0, 1))
        gates = self.gate(functional.gelu(self.narrow(steps))).sigmoid()
        gated: Tensor = gates * value
        return gated


def _by_groups(
    convolve: nn.Conv2d, pixels: Float[Tensor, "videos time height width channels"]
) -> Float[Tensor, "videos time height width channels"]:
    """Convolve the maps of each group of channels with the same filters."""
    maps = pixels.permute(0, 1, 4, 2, 3)
    grouped = maps.reshape(-1, convolve.in_channels, *maps.shape[3:])
    return convolve(grouped).reshape(maps.shape).permute(0, 1, 3, 4, 2)  # type: ignore[no-any-return]


class LongTerm(nn.Module):
    """CSTM: a transformer block over the frames, each pixel of each video by itself.

    The published code lets the block attend over all videos and pixels of a call, so that the
    queries of an episode see each other and time is not mixed, and reads the result back in
    another order. Both are mended here.

    positions: add a table of positions first; the published code has none, and the block then
    does not know the order of the frames.
    """

    def __init__(self, channels: int, *, positions: bool) -> None:
        super().__init__()
        self.positions = PairedPositions(channels, dropout=0.0) if positions else nn.Identity()
        self.norm_before, self.norm_between = (nn.LayerNorm(channels, eps=EPS) for _ in range(2))
        self.attention = nn.MultiheadAttention(channels, HEADS, batch_first=True)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)

    def forward(
        self, pixels: Float[Tensor, "videos time height width channels"]
    ) -> Float[Tensor, "videos time height width channels"]:
        """Let the frames of a pixel attend to each other."""
        ordered = pixels.permute(0, 2, 3, 1, 4)
        tokens = self.positions(ordered.flatten(0, 2))
        seen = self.norm_before(tokens)
        tokens = tokens + self.attention(seen, seen, seen, need_weights=False)[0]
        wide = self.widen(self.norm_between(tokens))
        tokens = tokens + self.narrow(wide * torch.sigmoid(1.702 * wide))
        return tokens.reshape(ordered.shape).permute(0, 3, 1, 2, 4)  # type: ignore[no-any-return]


class Branches(nn.Module):
    """Both branches, weighed by twice the softmax of gamma, and the mean over each map."""

    def __init__(self, channels: int, *, positions: bool) -> None:
        super().__init__()
        self.short = ShortTerm(channels)
        self.long = LongTerm(channels, positions=positions)
        self.gamma = nn.Parameter(torch.tensor([0.5, 0.5]))

    def forward(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos time channels"]:
        """Compute a vector for every frame."""
        pixels = maps.permute(0, 2, 3, 4, 1)
        of_long, of_short = 2 * self.gamma.softmax(dim=0)
        both: Tensor = of_short * self.short(pixels) + of_long * self.long(pixels)
        return both.mean(dim=(2, 3))
