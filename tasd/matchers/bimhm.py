"""Bi-MHM, the bidirectional mean Hausdorff metric: each frame is matched with its nearest."""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from tasd.matchers.arithmetic import class_means, cosine_distances, shot_means
from tasd.matchers.base import Matcher, NotNegative
from tasd.types import Scores, Task

Reduction = Literal["sum", "mean"]
Shots = Literal["prototype", "mean"]
Directions = Literal["both", "query"]
REDUCTIONS: dict[Reduction, Callable[[Tensor], Tensor]] = {
    "sum": lambda nearest: nearest.sum(dim=-1),
    "mean": lambda nearest: nearest.mean(dim=-1),
}


def bidirectional_hausdorff(
    distances: Float[Tensor, "*pairs query_time support_time"],
    *,
    reduction: Reduction = "sum",
    directions: Directions = "both",
) -> Float[Tensor, "*pairs"]:
    """Compute the distance of two videos from those of their frames (Wang et al. 2022).

    The paper takes means over the frames, all published code takes sums: for 8 frames the
    scores, and so the sharpness of their softmax, differ by a factor of 8. Ties share the
    gradient.
    """
    reduce = REDUCTIONS[reduction]
    of_query = reduce(distances.amin(dim=-1))
    return of_query + reduce(distances.amin(dim=-2)) if directions == "both" else of_query


class BiMHM(Matcher):
    """Bidirectional mean Hausdorff metric (Bi-MHM): HyRSM without its relation modules.

    Wang, Zhang, Qing, Tang, Zuo, Gao, Jin, Sang: "Hybrid Relation Guided Set Matching for
    Few-shot Action Recognition", CVPR 2022.

    A video is a set of frames, and every frame is compared with the nearest frame of the other
    video. This is done in both directions, so that no frame stays unmatched, but the order of the
    frames does not matter. It has no parameters.

    reduction: the nearest distances are summed, as in all published code, or averaged, as in the
    paper.
    shots: several shots are averaged frame by frame before they are compared ("prototype", the
    published 5-shot head), or the distances to them are averaged ("mean", the published 1-shot
    head).
    eps: added to the denominator of the cosine; 0.01 is the form in the code of MoLo.
    directions: "query" matches the query's frames only, "both" the support's too.

    Against the published code: one class for any number of shots, even unequal ones, where the
    code has two; the cosine divides the products, not the features, which is faster.
    """

    reads_norms = True

    def __init__(
        self,
        channels: int,
        *,
        reduction: Reduction = "sum",
        shots: Shots = "prototype",
        eps: NotNegative = 0.0,
        directions: Directions = "both",
    ) -> None:
        super().__init__(channels)
        self.reduction: Reduction = reduction
        self.shots: Shots = shots
        self.eps = eps
        self.directions: Directions = directions
        self.pairwise = shots == "mean"

    def compare(self, task: Task) -> Scores:
        """Score by minus the distance to each class, its prototype or its shots on average."""
        # As many supports as classes: each is its class's prototype, and nothing is averaged.
        if self.shots == "mean" or task.support.shape[1] == task.way:
            pairs = self.pair_distances(
                task.query,
                task.support,
                query_norms=task.query_norms,
                support_norms=task.support_norms,
            )
            return Scores(-shot_means(pairs, task.support_labels, way=task.way))
        prototypes = class_means(task.support, task.support_labels, way=task.way)
        return Scores(-self.pair_distances(task.query, prototypes, query_norms=task.query_norms))

    def pair_distances(
        self,
        query: Float[Tensor, "episodes query query_time channels"],
        support: Float[Tensor, "episodes support support_time channels"],
        *,
        query_norms: Float[Tensor, "episodes query query_time"] | None = None,
        support_norms: Float[Tensor, "episodes support support_time"] | None = None,
    ) -> Float[Tensor, "episodes query support"]:
        """Compute the metric between every query and every support video."""
        frames = cosine_distances(
            query, support, eps=self.eps, query_norms=query_norms, support_norms=support_norms
        )
        return bidirectional_hausdorff(frames, reduction=self.reduction, directions=self.directions)
