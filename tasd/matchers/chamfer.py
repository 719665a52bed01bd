"""Chamfer matching: each frame counts by its most similar frame in the other video."""

from typing import Literal

from jaxtyping import Float, Int64
from torch import Tensor

from tasd.matchers.arithmetic import cosine_distances, shot_means, shots_by_class
from tasd.matchers.base import Matcher, NotNegative, Positive
from tasd.types import Scores, Task

Shots = Literal["joint", "single"]
Direction = Literal["both", "query", "support"]


class Chamfer(Matcher):
    """Chamfer matching of frames, without weights.

    Bertrand, Kalantidis, Tolias: "Rethinking matching-based few-shot action recognition",
    SCIA 2023.

    Every frame of the query is compared with the most similar frame of the class, and every frame
    of the class with the most similar frame of the query; the score is the mean of these
    similarities. The order of the frames does not matter. It has no parameters.

    shots: the frames of all shots of a class form one set ("joint"), or each shot is compared
    alone and the scores are averaged ("single").
    direction: "query" matches the query's frames only, "support" those of the class only, "both"
    takes half of each (Chamfer-Q, Chamfer-S and Chamfer in the paper).
    eps: added to the cosine's denominator (0.01 in the published code).
    temperature: divides the scores, which are similarities in [-1, 1].

    Against the published code: Chamfer++ compares all increasing triples of clips after a learned
    projection and LayerNorm. That projection is not part of this matcher, which compares the
    frames themselves; nor is the learned factor of the scores, for which ``temperature`` stands.
    """

    reads_norms = True

    def __init__(
        self,
        channels: int,
        *,
        shots: Shots = "joint",
        direction: Direction = "both",
        eps: NotNegative = 0.01,
        temperature: Positive = 1.0,
    ) -> None:
        super().__init__(channels)
        self.shots: Shots = shots
        self.direction: Direction = direction
        self.eps = eps
        self.temperature = temperature
        self.pairwise = shots == "single"

    def compare(self, task: Task) -> Scores:
        """Score by the mean similarity of each frame to its nearest, in one or both directions."""
        frames = cosine_distances(
            task.query,
            task.support,
            eps=self.eps,
            query_norms=task.query_norms,
            support_norms=task.support_norms,
        )
        # As many supports as classes: a class is one video, and nothing is joined or averaged.
        alone = self.shots == "single" or task.support.shape[1] == task.way
        if alone or self.direction == "support":  # of as many frames each: the mean of the shots'
            distances = shot_means(self._of_pairs(frames), task.support_labels, way=task.way)
        else:
            distances = self._joint(frames, task.support_labels, task.way)
        return Scores((1 - distances) / self.temperature)

    def _joint(
        self,
        frames: Float[Tensor, "episodes query support query_time support_time"],
        labels: Int64[Tensor, "episodes support"],
        way: int,
    ) -> Float[Tensor, "episodes query way"]:
        """Compute the distance to the frames of all shots of each class together."""
        shots = shots_by_class(labels, way=way)
        # (episodes, way, shots, query, query_time): the nearest frame of each shot
        nearest = shots.of(frames.amin(dim=-1).transpose(1, 2))
        missing = ~shots.given[..., None, None]
        of_query = nearest.masked_fill(missing, float("inf")).amin(dim=2).mean(dim=-1).mT
        if self.direction == "query":
            return of_query
        of_support = shot_means(frames.amin(dim=-2).mean(dim=-1), labels, way=way)
        return (of_query + of_support) / 2

    def _of_pairs(
        self, frames: Float[Tensor, "episodes query support query_time support_time"]
    ) -> Float[Tensor, "episodes query support"]:
        """Compute the distance between two videos from those of their frames."""
        if self.direction == "query":
            return frames.amin(dim=-1).mean(dim=-1)
        of_support = frames.amin(dim=-2).mean(dim=-1)
        if self.direction == "support":
            return of_support
        return (frames.amin(dim=-1).mean(dim=-1) + of_support) / 2

    def pair_distances(
        self,
        query: Float[Tensor, "episodes query query_time channels"],
        support: Float[Tensor, "episodes support support_time channels"],
    ) -> Float[Tensor, "episodes query support"]:
        """Compute minus the similarity of every query and every support, by the temperature."""
        frames = cosine_distances(query, support, eps=self.eps)
        return (self._of_pairs(frames) - 1) / self.temperature
