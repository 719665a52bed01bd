"""The motion branch of MoLo: differences of feature maps, and their decoding to pixels."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

REDUCTION = 8  # the motion branch works on channels / 8


class Motion(nn.Module):
    """Differences between the map of each frame and the convolved map of the next."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // REDUCTION
        self.reduce = nn.Conv3d(channels, narrow, kernel_size=3, padding=1)
        self.convolve = nn.Conv2d(narrow, narrow, kernel_size=3, padding=1)
        self.widen = nn.Conv2d(narrow, channels, kernel_size=1)

    def forward(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos steps narrow height width"]:
        """Compute conv(r[t + 1]) - r[t] for the reduced maps r: one step fewer than frames."""
        assert maps.shape[2] > 1, "one frame has no motion"
        reduced = self.reduce(maps).transpose(1, 2)
        following = self.convolve(reduced[:, 1:].flatten(0, 1))
        steps: Tensor = following.reshape_as(reduced[:, 1:]) - reduced[:, :-1]
        return steps

    def tokens(
        self, steps: Float[Tensor, "videos steps narrow height width"]
    ) -> Float[Tensor, "videos steps channels"]:
        """Compute a token for every step: widened, ReLU, mean over the map."""
        wide = functional.relu(self.widen(steps.flatten(0, 1)))
        return wide.mean(dim=(2, 3)).reshape(*steps.shape[:2], -1)


class Reconstruction(nn.Module):
    """Decoder of steps of motion to the differences of the frames' pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels // REDUCTION, 128, 32, 16)
        layers: list[nn.Module] = []
        for scale, narrow, wide in zip((2, 4, 4), widths, widths[1:], strict=False):
            layers += [
                nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=True),
                nn.Conv2d(narrow, wide, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(),
            ]
        self.decode = nn.Sequential(*layers, nn.Conv2d(widths[-1], 3, kernel_size=1))

    def forward(
        self,
        steps: Float[Tensor, "videos steps narrow height width"],
        pixels: Float[Tensor, "videos time 3 rows columns"],
    ) -> Float[Tensor, ""]:
        """Compute the mean squared error of the decoded differences, resized to the pixels."""
        target = (pixels[:, 1:] - pixels[:, :-1]).flatten(0, 1)
        decoded = self.decode(steps.flatten(0, 1))
        if decoded.shape != target.shape:
            decoded = functional.interpolate(decoded, target.shape[-2:], mode="bilinear")
        return functional.mse_loss(decoded, target)
