"""The networks of ARN that read its correlations and its maps."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 64  # channels that are correlated


class RelationNetwork(nn.Module):
    """The similarity of two correlation matrices, support first; ZJUT's layers.

    Four convolutions, pooled by 2 after each, the last three added to their input; then two linear
    layers. Eq. (3) of Zhang et al. 2020.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU()
            )
            for channels in (2, WIDTH, WIDTH, WIDTH)
        )
        side = WIDTH // 2 ** len(self.convolutions)
        self.hidden, self.out = nn.Linear(WIDTH * side * side, 8), nn.Linear(8, 1)

    def forward(self, pairs: Float[Tensor, "pairs 2 rows columns"]) -> Float[Tensor, " pairs"]:
        """Compute the relation before the sigmoid."""
        first, *others = self.convolutions
        inner = functional.max_pool2d(first(pairs), 2)
        for each in others:
            inner = functional.max_pool2d(inner + each(inner), 2)
        related: Tensor = self.out(functional.relu(self.hidden(inner.flatten(1))))
        return related.squeeze(1)


class Discriminator(nn.Module):
    """The way in which the maps of a clip were changed, guessed from them; in no public code.

    A jigsaw is a matter of places, so that they are pooled to 2 x 4 x 4 and no further.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv3d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm3d(WIDTH),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool3d((2, 4, 4)),
            nn.Flatten(),
        )
        self.out = nn.Linear(WIDTH * 32, classes)

    def forward(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos classes"]:
        """Compute the logits of the ways."""
        logits: Tensor = self.out(self.reduce(maps))
        return logits
