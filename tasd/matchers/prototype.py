"""Prototypical networks on time averages: the simplest matcher, the field's lower bound."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from tasd.matchers.arithmetic import class_means, frame_norms, shot_means
from tasd.matchers.base import Matcher, NotNegative, Positive, Published
from tasd.types import Features, Scores, Task

Metric = Literal["cosine", "squared_l2"]


class Prototype(Matcher):
    """Prototypical network on the time average of the frames.

    Snell, Swersky, Zemel: "Prototypical Networks for Few-shot Learning", NeurIPS 2017. The time
    average is that of Wang et al., "Temporal Segment Networks", ECCV 2016.

    A video is one vector, the mean of its frames, so that their order does not matter. A query is
    compared with the mean of each class's videos, or with each of them. It has no parameters.

    metric: "squared_l2" scores minus the squared distance to the mean of the shots; "cosine"
    scores the mean cosine to the shots, a similarity in [-1, 1] that is used as it is.
    eps: added to the cosine's denominator (0.01 in the published code).
    temperature: divides the scores.

    Against the published code (Perrett's, as for OTAM): the temperature. There it is 1, which
    leaves a softmax over cosines nearly flat.
    """

    PUBLISHED = Published(paper="Snell et al., Prototypical Networks, NeurIPS 2017")

    def __init__(
        self,
        channels: int,
        *,
        metric: Metric = "cosine",
        eps: NotNegative = 0.01,
        temperature: Positive = 1.0,
    ) -> None:
        super().__init__(channels)
        self.metric: Metric = metric
        self.eps = eps
        self.temperature = temperature
        self.pairwise = metric == "cosine"

    def prepare(self, features: Features) -> Features:
        """Average over time, to a video of one frame."""
        return Features(features.frames.mean(dim=1, keepdim=True))

    def compare(self, task: Task) -> Scores:
        """Score by the cosine of time averages, or by minus their squared distance."""
        if self.metric == "cosine":
            pairs = -self.pair_distances(task.query, task.support)
            return Scores(shot_means(pairs, task.support_labels, way=task.way))
        prototypes = class_means(task.support, task.support_labels, way=task.way)
        # (query, 1, channels) - (1, way, channels)
        gaps = task.query - prototypes.squeeze(2)[:, None]
        return Scores(-gaps.square().sum(dim=-1) / self.temperature)

    def pair_distances(
        self,
        query: Float[Tensor, "episodes query query_time channels"],
        support: Float[Tensor, "episodes support support_time channels"],
    ) -> Float[Tensor, "episodes query support"]:
        """Compute minus the cosine of two time averages, divided by the temperature."""
        query_norms, support_norms = frame_norms(query), frame_norms(support)
        products = query.squeeze(2) @ support.squeeze(2).mT
        cosines = products / (query_norms * support_norms.mT + self.eps)
        return -cosines / self.temperature
