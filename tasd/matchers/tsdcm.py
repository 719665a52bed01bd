"""TS-DCM: frames as distance covariances of channels, matched by a table of the episode."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import class_means, cosine_distances
from tasd.matchers.base import Matcher, Positive, Width
from tasd.types import Features, Scores, Task

EPS = 0.01  # in the cosine of the published code
FLOOR = 1e-5  # under the power, for its gradient at 0


def distance_covariance(
    patches: Float[Tensor, "*frames patches channels"], *, alpha: float
) -> Float[Tensor, "*frames pairs"]:
    """Compute the centred distances between channels over patches, to the power of ``alpha``.

    Half the mean squared difference of two channels, to the power; double centred. The upper
    triangle with its diagonal, row by row: channels * (channels + 1) / 2 numbers.
    """
    # A common shift of all channels changes no difference, and centred numbers lose fewer digits.
    centred = patches - patches.mean(dim=-1, keepdim=True)
    products = centred.mT @ centred / (2 * patches.shape[-2])
    own = products.diagonal(dim1=-2, dim2=-1)
    squares = (own[..., :, None] + own[..., None, :] - 2 * products).clamp(min=0)
    distances = (squares + FLOOR) ** alpha
    rows = distances.mean(dim=-1, keepdim=True)
    table = distances - rows - rows.mT + rows.mean(dim=-2, keepdim=True)
    first, second = torch.triu_indices(*table.shape[-2:], device=table.device)
    return table[..., first, second]


class TSDCM(Matcher):
    """Task-specific distance correlation matching (TS-DCM), the matching of TS-FSAR.

    Long, Zhang, Lv, Xie, Li: "Task-Specific Distance Correlation Matching for Few-Shot Action
    Recognition", AAAI 2026.

    A frame is described by the distances between its channels over its patches, which see
    relations that are not linear. All pairs of frames of query and class are then weighted by a
    table that is made from the episode's support and the query.

    width: number of channels that frames and maps are projected to; none: they are read as they
    are. The descriptor of a frame has width * (width + 1) / 2 numbers.
    alpha: exponent of the distances.
    frames: number of frames of a video; the table has an entry for every pair of them.

    Against the published system: the matching alone. Its side network on CLIP, and all losses and
    scores from class names as text, are no part of this. The class token is the backbone's
    frame feature, and the projection, which stands for the side network's 256 channels, is ours.
    The table begins even, and positive for features after a ReLU, so that an untrained network
    ranks by similarity; there it begins random, which as often ranks by the opposite. Unequal
    shots.
    """

    needs_maps = True
    task_level = True

    def __init__(
        self,
        channels: int,
        *,
        width: Width | None = 256,
        alpha: Positive = 0.4,
        frames: int = 8,
    ) -> None:
        super().__init__(channels)
        self.width, self.alpha, self.time = width or channels, alpha, frames
        self.project = nn.Linear(channels, width, bias=False) if width else nn.Identity()
        self.generator = nn.Linear(self.width, frames * frames, bias=False)
        with torch.no_grad():
            ones = self.project(torch.ones(channels))
            self.generator.weight.copy_(ones / (ones.square().sum() * frames))

    def prepare(self, features: Features) -> Features:
        """Compute descriptor and class token of every frame, side by side; maps are dropped."""
        assert features.maps is not None, "TSDCM reads maps"
        tokens = self.project(features.frames)
        # (videos, time, patches, width)
        patches = self.project(features.maps.flatten(3).permute(0, 2, 3, 1))
        return Features(torch.cat([self.descriptors(tokens, patches), tokens], dim=2))

    def descriptors(
        self,
        tokens: Float[Tensor, "videos time width"],
        patches: Float[Tensor, "videos time patches width"],
    ) -> Float[Tensor, "videos time pairs"]:
        """Describe every frame by its patches, each weighted by its cosine to the class token."""
        weights = functional.cosine_similarity(tokens[:, :, None], patches, dim=3)
        return distance_covariance(weights[..., None] * patches, alpha=self.alpha)

    def compare(self, task: Task) -> Scores:
        """Score by the cosines of all pairs of frames, weighted by the query's table."""
        cosines = self.frame_cosines(task)
        return Scores(torch.einsum("eqwts,eqts->eqw", cosines, self.tables(task)))

    def frame_cosines(
        self, task: Task
    ) -> Float[Tensor, "episodes query way query_time support_time"]:
        """Compute the cosines between the query's frames and those of the prototypes."""
        prototypes = class_means(
            task.support[..., : -self.width], task.support_labels, way=task.way
        )
        return 1 - cosine_distances(task.query[..., : -self.width], prototypes, eps=EPS)

    def tables(self, task: Task) -> Float[Tensor, "episodes query query_time support_time"]:
        """Compute each query's weights of pairs of frames, from class tokens of the episode."""
        assert task.query.shape[2] == self.time, f"the table is for videos of {self.time} frames"
        of_support = task.support[..., -self.width :].mean(dim=(1, 2))
        of_query = task.query[..., -self.width :].mean(dim=2)
        table: Tensor = self.generator(of_query + of_support[:, None])
        return table.reshape(*table.shape[:2], self.time, self.time)
