"""HyRSM: attention within each video, then among the videos of an episode, then set matching."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import class_means, cosine_distances, shot_means
from tasd.matchers.attention import ScaledPositions, SelfAttention, VideoAttention
from tasd.matchers.base import Matcher, Positive, Width, check_heads
from tasd.matchers.bimhm import Shots, bidirectional_hausdorff
from tasd.types import Features, Scores, Task


class TaskRelation(VideoAttention):
    """Attention over the videos of an episode, one query at a time: LayerNorm(x + Wo MHA(x))."""

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__(channels, heads=heads)
        self.rows = 3 + heads  # of a projected video
        deviation = (2 / (channels + channels // heads)) ** 0.5
        for projection in (self.query, self.key, self.value):
            nn.init.normal_(projection.weight, std=deviation)
        nn.init.xavier_normal_(self.out.weight)

    def forward(
        self,
        support: Float[Tensor, "episodes support channels"],
        query: Float[Tensor, "episodes query channels"],
    ) -> Float[Tensor, "episodes query support_and_query channels"]:
        """Compute the supports' tokens for every query, and last its own, before the ReLU."""
        return self.related(self.projected(support), self.projected(query))

    def projected(
        self, tokens: Float[Tensor, "*videos channels"]
    ) -> Float[Tensor, "*videos rows channels"]:
        """Compute all that needs a video alone: its token, query and key, and a value a head.

        The output layer is linear, so it is applied to the values, once a video, and not to their
        weighted sums, once for every video of every query.
        """
        rows = torch.stack([tokens, self.query(tokens), self.key(tokens)], dim=-2)
        values = self.value(tokens).unflatten(-1, (self.heads, -1))
        weight = self.out.weight.unflatten(1, (self.heads, -1))
        # h heads, d channels of a head, c channels
        return torch.cat([rows, torch.einsum("...hd,chd->...hc", values, weight)], dim=-2)

    def related(
        self,
        support: Float[Tensor, "episodes support rows channels"],
        query: Float[Tensor, "episodes query rows channels"],
    ) -> Float[Tensor, "episodes query support_and_query channels"]:
        """Let the videos of every query attend to each other; the rows are `projected`."""
        tokens, queries, keys = (
            self._with_each_query(support[:, :, row], query[:, :, row]) for row in range(3)
        )
        queries, keys = (x.unflatten(3, (self.heads, -1)).transpose(2, 3) for x in (queries, keys))
        match = queries @ keys.mT / math.sqrt(queries.shape[-1])
        # (episodes, query, support and query, heads, support and query)
        weights = functional.dropout(match.softmax(dim=4), 0.1, self.training).transpose(2, 3)
        of_supports = weights[..., :-1].flatten(3).flatten(1, 2)  # the same values for all queries
        values = support[:, :, 3:].transpose(1, 2).flatten(1, 2)
        mixed = (of_supports @ values).reshape(tokens.shape) + weights[..., -1] @ query[:, :, 3:]
        related: Tensor = self.norm(tokens + self.dropout(mixed + self.out.bias))
        return related

    @staticmethod
    def _with_each_query(support: Tensor, query: Tensor) -> Tensor:
        """Put each query behind the supports: (episodes, query, support + 1, channels)."""
        supports = support[:, None].expand(-1, query.shape[1], -1, -1)
        return torch.cat([supports, query[:, :, None]], dim=2)


@dataclass(frozen=True)
class Related:
    """Features specific to the episode; those of the supports differ from query to query."""

    support: Float[Tensor, "episodes query support time channels"]
    query: Float[Tensor, "episodes query time channels"]


class HyRSM(Matcher):
    """Hybrid relation guided set matching (HyRSM).

    Wang, Zhang, Qing, Tang, Zuo, Gao, Jin, Sang: "Hybrid Relation Guided Set Matching for
    Few-shot Action Recognition", CVPR 2022.

    Attention over the frames of each video, then over the videos of the episode, makes features
    that are specific to the task; each query has its own supports. They are compared as sets of
    frames by the bidirectional mean Hausdorff metric.

    heads: their number in both attentions; it divides the channels.
    position_a, position_b: the features are multiplied by sqrt(channels / a) and the position
    table by b; the published settings are (10, 1) and, for Kinetics, (channels, 0.01).
    shots: several shots are averaged before the attention over videos ("prototype", the
    published 5-shot head), or all take part and the distances are averaged ("mean", the
    published 1-shot head).
    classes: number of training classes, for the frame classifier of the loss ``classifier``.

    Against the published code: one class for any number of shots, even unequal ones. The layer
    on top of [frame, relation] is applied to the two halves apart, W [f; r] = Wf f + Wr r, so
    that the frames' half needs the video alone; so do the projections of the attention.
    """

    task_level = True

    def __init__(
        self,
        channels: int,
        *,
        heads: Width = 8,
        position_a: Positive = 10.0,
        position_b: float = 1.0,
        shots: Shots = "prototype",
        classes: int | None = None,
    ) -> None:
        super().__init__(channels)
        check_heads("hyrsm", channels, heads)
        self.shots: Shots = shots
        self.positions = ScaledPositions(channels, a=position_a, b=position_b)
        self.intra_video = SelfAttention(channels, heads=heads)
        self.task_relation = TaskRelation(channels, heads=heads)
        self.combine = nn.Linear(2 * channels, channels)
        self.classifier = None if classes is None else nn.Linear(channels, classes)
        self.loss_names = () if classes is None else ("classifier",)

    def match(self, task: Task) -> Scores:
        """Score the task; add the loss of the frames' classifier where classes are known."""
        support, query = self.within(task.support), self.within(task.query)
        packed = Task(task.way, self.pack(support), self.pack(query), task.support_labels)
        scores = self.compare(packed)
        if self.classifier is None or task.support_classes is None or task.query_classes is None:
            return scores
        frames = torch.cat([support, query], dim=1)
        classes = torch.cat([task.support_classes, task.query_classes], dim=1)
        of_frames = classes[:, :, None].expand(frames.shape[:3]).flatten()
        loss = functional.cross_entropy(self.classifier(frames).flatten(0, 2), of_frames)
        return replace(scores, losses={"classifier": loss})

    def within(
        self, frames: Float[Tensor, "*videos time channels"]
    ) -> Float[Tensor, "*videos time channels"]:
        """Let the frames of each video attend to each other."""
        return functional.relu(self.intra_video(self.positions(frames)))

    def pack(
        self, frames: Float[Tensor, "*videos time channels"]
    ) -> Float[Tensor, "*videos rows channels"]:
        """Return the frames' half of the combining layer, then what the task relation projects."""
        half = functional.linear(frames, self.combine.weight[:, : self.channels])
        return torch.cat([half, self.task_relation.projected(frames.mean(dim=-2))], dim=-2)

    def prepare(self, features: Features) -> Features:
        """Compute all that does not need the episode."""
        return Features(self.pack(self.within(features.frames)))

    def compare(self, task: Task) -> Scores:
        """Score by minus the set distance between the query and its own version of each class."""
        support, by_shot = task.support, self.shots == "mean"
        if not by_shot:
            support = class_means(support, task.support_labels, way=task.way)
        distances = self.set_distances(self.relate(support, task.query))
        if not by_shot:
            return Scores(-distances)
        return Scores(-shot_means(distances, task.support_labels, way=task.way))

    def relate(
        self,
        support: Float[Tensor, "episodes support rows channels"],
        query: Float[Tensor, "episodes query rows channels"],
    ) -> Related:
        """Add to every frame the relation of its video to the others."""
        frames = support.shape[2] - self.task_relation.rows
        relation = self.task_relation.related(support[:, :, frames:], query[:, :, frames:])
        learned = functional.linear(
            functional.relu(relation), self.combine.weight[:, self.channels :], self.combine.bias
        )
        return Related(
            support=support[:, None, :, :frames] + learned[:, :, :-1, None],
            query=query[:, :, :frames] + learned[:, :, -1, None],
        )

    @staticmethod
    def set_distances(related: Related) -> Float[Tensor, "episodes query support"]:
        """Compute the metric between each query and its own version of the supports."""
        # (episodes * query, 1, ...) against (episodes * query, support, ...)
        own = related.query.flatten(0, 1)[:, None]
        frames = cosine_distances(own, related.support.flatten(0, 1))
        return bidirectional_hausdorff(frames).reshape(related.support.shape[:3])
