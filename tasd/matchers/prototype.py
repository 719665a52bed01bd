"""Prototypical networks on time averages: the simplest matcher, the field's lower bound."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from tasd.errors import UserError
from tasd.matchers.arithmetic import class_means, frame_norms, shot_means
from tasd.matchers.base import Matcher, NotNegative, Positive
from tasd.types import Features, Scores, Task

Metric = Literal["cosine", "squared_l2"]
Rule = Literal["prototype", "mean"]


class Prototype(Matcher):
    """Prototypical network on the time average of the frames.

    Snell, Swersky, Zemel: "Prototypical Networks for Few-shot Learning", NeurIPS 2017. The time
    average is that of Wang et al., "Temporal Segment Networks", ECCV 2016.

    A video is one vector, the mean of its frames, so that their order does not matter. A query is
    compared with the mean of each class's videos, or with each of them. It has no parameters.

    metric: "squared_l2" scores minus the squared distance to the mean of the shots; "cosine"
    scores a cosine, a similarity in [-1, 1] that is used as it is.
    rule: with "cosine" and several shots: the cosine to the mean of the shots' averages, each of
    length one ("prototype"), or the mean of the cosines to the shots ("mean", as in the published
    code, and in runs whose config has no ``rule``). With one shot they are equal.
    eps: added to the cosine's denominator (0.01 in the published code).
    temperature: divides the scores.

    Against the published code (Perrett's, as for OTAM): the rule, and the temperature. There it
    is 1, which leaves a softmax over cosines nearly flat.
    """

    def __init__(
        self,
        channels: int,
        *,
        metric: Metric = "cosine",
        rule: Rule = "prototype",
        eps: NotNegative = 0.01,
        temperature: Positive = 1.0,
    ) -> None:
        super().__init__(channels)
        if (metric, rule) == ("squared_l2", "mean"):
            raise UserError(
                "option 'rule' of matcher 'prototype' is 'mean', a rule for metric 'cosine': "
                "'squared_l2' compares with the mean of the shots; leave 'rule' out, or set "
                "matcher.options.metric=cosine"
            )
        self.metric: Metric = metric
        self.rule: Rule = rule
        self.eps = eps
        self.temperature = temperature
        self.pairwise = rule == "mean"

    def prepare(self, features: Features) -> Features:
        """Average over time, to a video of one frame."""
        return Features(features.frames.mean(dim=1, keepdim=True))

    def compare(self, task: Task) -> Scores:
        """Score by the cosine of time averages, or by minus their squared distance."""
        if self.metric == "cosine":
            return Scores(self._cosines(task))
        prototypes = class_means(task.support, task.support_labels, way=task.way)
        # (query, 1, channels) - (1, way, channels)
        gaps = task.query - prototypes.squeeze(2)[:, None]
        return Scores(-gaps.square().sum(dim=-1) / self.temperature)

    def _cosines(self, task: Task) -> Float[Tensor, "episodes query way"]:
        """Compute the cosine to each class by the rule for several shots."""
        # As many supports as classes: the rules are equal.
        if self.rule == "mean" or task.support.shape[1] == task.way:
            pairs = -self.pair_distances(task.query, task.support)
            return shot_means(pairs, task.support_labels, way=task.way)
        norms = frame_norms(task.support)[..., None]
        directions = class_means(task.support / norms, task.support_labels, way=task.way)
        # As long as the shots are on average: a single shot is its own prototype, under eps too.
        lengths = class_means(norms, task.support_labels, way=task.way)
        return -self.pair_distances(task.query, directions * lengths)

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
