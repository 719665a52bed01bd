"""The model's temporal encoder: a backbone's pooled frames -> features F (section 4.1)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TemporalEncoder(nn.Module):
    """Pre-norm transformer layers over the T tokens of each video.

    A sinusoidal position is added first. It is scaled by the mean norm of the video's tokens
    times a learnable factor that starts at 0.1, so that it suits features of any scale. The last
    linear map of each branch starts small (std 0.02 / sqrt(2 depth)): at the start the encoder
    leaves pretrained features almost unchanged. With depth 0 it leaves them as they are.
    """

    def __init__(
        self, channels: int, *, depth: int, heads: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.position_scale = nn.Parameter(torch.tensor(0.1)) if depth else None
        layers = [
            nn.TransformerEncoderLayer(
                channels,
                heads,
                feedforward,
                dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        ]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(channels) if depth else nn.Identity()
        for layer in layers:
            for last in (layer.self_attn.out_proj, layer.linear2):
                nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * depth))

    def forward(
        self, tokens: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos time channels"]:
        """Compute F from the pooled frames of some videos."""
        tokens = self.positioned(tokens)
        for layer in self.layers:
            tokens = layer(tokens)
        encoded: Tensor = self.norm(tokens)
        return encoded

    def positioned(
        self, tokens: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos time channels"]:
        """Add to each token its position in the video."""
        if self.position_scale is None:
            return tokens
        norm = tokens.detach().norm(dim=-1, keepdim=True).mean(dim=1, keepdim=True)
        place = positions(tokens.shape[1], tokens.shape[2], device=tokens.device).to(tokens)
        placed: Tensor = tokens + self.position_scale * norm * place
        return placed


def positions(
    time: int, channels: int, *, device: torch.device | None = None
) -> Float[Tensor, "time channels"]:
    """Return unit vectors of sines and cosines. Section 3.5 of Vaswani et al. 2017."""
    step = torch.arange(time, dtype=torch.float32, device=device)[:, None]
    pairs = torch.arange(0, channels, 2, dtype=torch.float32, device=device)
    angle = step * torch.exp(-math.log(10_000.0) * pairs / channels)
    table = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :channels]
    return nn.functional.normalize(table, dim=-1)
