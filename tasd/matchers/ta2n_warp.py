"""The first stage of TA2N: each video is stretched and shifted in time to its action."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def pool_by_two(maps: Tensor, *, over_time: bool) -> Tensor:
    """Max-pool with stride 2, except along a dimension that has only one cell."""
    time, height, width = maps.shape[-3:]
    kernel = (min(2, time) if over_time else 1, min(2, height), min(2, width))
    return functional.max_pool3d(maps, kernel)


class TemporalTransform(nn.Module):
    """Network that predicts (a, b) for each video and samples its maps at the times a t + b."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, 64, kernel_size=3, padding=1)
        self.norm1 = nn.BatchNorm3d(64)
        self.conv2 = nn.Conv3d(64, 128, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm3d(128)
        self.hidden = nn.Linear(128, 32)
        self.out = nn.Linear(32, 2)
        # Training starts from a = tanh 2 = 0.96 and b = 0: nearly no warp.
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([2.0, 0.0]))

    def forward(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos channels time height width"]:
        """Warp the maps."""
        return warped(maps, self.parameters_of(maps))

    def parameters_of(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos 2"]:
        """Predict scale a and shift b, in (-1, 1)."""
        maps = functional.relu(pool_by_two(self.norm1(self.conv1(maps)), over_time=True))
        maps = functional.relu(pool_by_two(self.norm2(self.conv2(maps)), over_time=True))
        hidden = functional.relu(self.hidden(maps.amax(dim=(2, 3, 4))))
        return torch.tanh(self.out(hidden))


def warped(
    maps: Float[Tensor, "videos channels time height width"], warp: Float[Tensor, "videos 2"]
) -> Float[Tensor, "videos channels time height width"]:
    """Sample frame i at time a u_i + b, u_i from -1 to 1; linear between frames, zero outside."""
    time = maps.shape[2]
    steps = torch.arange(time, dtype=maps.dtype, device=maps.device)
    spread = 2 * steps / max(time - 1, 1) - 1
    places = ((warp[:, :1] * spread + warp[:, 1:] + 1) / 2 * (time - 1))[:, :, None]
    # (videos, 1, time out, time in): weights fall linearly to 0 one frame from each place.
    weights = (1 - (places - steps).abs()).clamp(min=0)[:, None]
    return (weights @ maps.flatten(3)).reshape(maps.shape)
