"""TA2N: alignment in time within a video, then in time and space between two videos."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import TINY, class_means, shots_by_class
from tasd.matchers.base import Matcher, Rate
from tasd.matchers.ta2n_offsets import Pairs, Side, SpatialOffsets, pooled
from tasd.matchers.ta2n_pairs import PreparedMaps, VideoParts, pair_scores, shares, unpacked
from tasd.matchers.ta2n_warp import TemporalTransform
from tasd.types import Features, Scores, Task

Reference = Literal["mean", "first"]


@dataclass(frozen=True)
class Aligned:
    """Frames of every pair of class and query, aligned in time and space.

    offsets: (x, y) from the middle, as fractions of half the map; the query's are their negative.
    """

    support: Float[Tensor, "episodes way query time channels"]
    query: Float[Tensor, "episodes way query time channels"]
    offsets: Float[Tensor, "episodes way query time 2"]


class TA2N(Matcher):
    """Two-stage action alignment network (TA2N).

    Li, Liu, Qian, Li, See, Fei, Yu, Lin: "TA2N: Two-Stage Action Alignment Network for
    Few-Shot Action Recognition", AAAI 2022.

    A video is first warped to the duration of its action. In each pair, attention then brings
    the query's frames into the support's order and predicted offsets move both to where the
    action is in space, before the frames are compared one by one.

    reference: the shots of a class are brought into the order of frames of the first of them
    ("first", as published), or of their mean ("mean"), which does not depend on the order in
    which the support is written. With one shot it has no effect.
    dropout: its rate on the maps, in training.

    Against the published code: the default ``reference``; labels are read (there the supports
    must come sorted); classes may have unequal shots; maps of any size. The nine masks are
    products of three by three, and a convolution of 2 x channels for each pair is taken apart
    into one for each video: the same sums in another order. The soft-DTW form of the distance
    and the layer norm over the scores, both off there by default, are left out.
    """

    needs_maps = True

    def __init__(
        self, channels: int, *, reference: Reference = "mean", dropout: Rate = 0.5
    ) -> None:
        super().__init__(channels)
        self.reference: Reference = reference
        self.dropout = nn.Dropout(dropout)
        self.transform = TemporalTransform(channels)
        self.fuse_key, self.fuse_query, self.fuse_value = self._projections()
        self.key, self.query, self.value = self._projections()
        self.offsets = SpatialOffsets(channels)

    def _projections(self) -> list[nn.Linear]:
        return [nn.Linear(self.channels, self.channels, bias=False) for _ in range(3)]

    def match(self, task: Task) -> Scores:
        """Score as `prepare` and `compare` do, for one shot or several, with gradients."""
        return _scores(self.align(task))

    def align(self, task: Task) -> Aligned:
        """Compute the aligned frames of every pair from raw maps."""
        assert task.support_maps is not None, "TA2N reads maps"
        assert task.query_maps is not None, "TA2N reads maps"
        support, query = (
            self._warped(maps.flatten(0, 1)).reshape(maps.shape)
            for maps in (task.support_maps, task.query_maps)
        )
        return self._aligned(task, support, query)

    def prepare(self, features: Features) -> Features:
        """Compute the warped maps and what pairs of single videos need, `PreparedMaps` in a row."""
        assert features.maps is not None, "TA2N reads maps"
        maps = self._warped(features.maps)
        frames = maps.mean(dim=(3, 4)).mT
        values = self.value(frames)
        parts = VideoParts(
            self.key(frames), self.query(frames), values, *shares(self.offsets, maps, values)
        )
        return Features(PreparedMaps(maps.movedim(1, 4), parts).packed()[:, None])

    def compare(self, task: Task) -> Scores:
        """Score by minus the distance of the aligned pairs."""
        support, query = (
            unpacked(videos[:, :, 0], channels=self.channels)
            for videos in (task.support, task.query)
        )
        if task.support.shape[1] != task.way:
            maps = (videos.maps.movedim(5, 2) for videos in (support, query))
            return _scores(self._aligned(task, *maps))
        scores = pair_scores(support, query, network=self.offsets)
        order = shots_by_class(task.support_labels, way=task.way).index
        return Scores(scores.gather(2, order[:, None, :, 0].expand(scores.shape)))

    def _warped(self, maps: Tensor) -> Tensor:
        warped: Tensor = self.transform(self.dropout(maps))
        return warped

    def _aligned(self, task: Task, support: Tensor, query: Tensor) -> Aligned:
        """Align warped maps (episodes, videos, channels, time, height, width)."""
        if support.shape[1] == task.way:  # one shot: its video is the class
            support = shots_by_class(task.support_labels, way=task.way).of(support).squeeze(2)
        else:
            support, query = self._fused(task, support), self._fuse_values(query)
        halves = self._half(support, "support"), self._half(query, "query")
        pairs = self._coordinated(support, query)
        return _pooled(pairs, self.offsets(pairs, *halves))

    def _half(self, maps: Tensor, side: Side) -> Tensor:
        half = self.offsets.convolved(maps.flatten(0, 1), side)
        return half.reshape(*maps.shape[:2], *half.shape[1:])

    def _fuse_values(self, maps: Tensor) -> Tensor:
        """Apply a 1x1 convolution to (episodes, videos, channels, time, height, width)."""
        return (self.fuse_value.weight @ maps.flatten(3)).reshape(maps.shape)

    def _fused(self, task: Task, support: Tensor) -> Tensor:
        """Compute one map a class: the mean of its shots, each in the reference's order of frames.

        The values are linear and mix no frames, so they are computed from the mean.
        """
        labels, way = task.support_labels, task.way
        means = support.mean(dim=(4, 5)).mT
        queries = self.fuse_query(means)
        if self.reference == "first":
            references = shots_by_class(labels, way=way).of(queries)[:, :, 0]
        else:
            references = class_means(queries, labels, way=way)
        episodes = torch.arange(len(labels), device=labels.device)[:, None]
        # (episodes, support, frames of the reference, frames of the shot)
        match = references[episodes, labels] @ self.fuse_key(means).mT
        attention = (match / math.sqrt(self.channels)).softmax(dim=3)
        ordered = attention[:, :, None] @ support.flatten(4)
        means_of_shots = class_means(ordered, labels, way=way)
        return self._fuse_values(
            means_of_shots.reshape(*means_of_shots.shape[:4], *support.shape[4:])
        )

    def _coordinated(self, support: Tensor, query: Tensor) -> Pairs:
        """Compute the attention from each frame of a class to the frames of each query."""
        of_support, of_query = support.mean(dim=(4, 5)).mT, query.mean(dim=(4, 5)).mT
        match = self.key(of_support)[:, :, None] @ self.query(of_query)[:, None].mT
        return Pairs(
            support_maps=support,
            query_maps=query,
            support_added=self.value(of_support),
            query_values=self.value(of_query),
            attention=(match / math.sqrt(self.channels)).softmax(dim=4),
        )


def _pooled(pairs: Pairs, offsets: Tensor) -> Aligned:
    """Pool both maps around the offsets, the query's in the opposite direction.

    The masks sum to 1, so what a pair adds to all cells of a map is added after the pooling.
    """
    support = pooled(pairs.support_maps, offsets) + pairs.support_added[:, :, None]
    query = pooled(pairs.query_maps, -offsets.transpose(1, 2)).transpose(1, 2)
    return Aligned(support, query + pairs.attention @ pairs.query_values[:, None], offsets)


def _scores(aligned: Aligned) -> Scores:
    """Score by minus the cosine distances, summed over the frames."""
    support = functional.normalize(aligned.support, dim=4, eps=TINY)
    query = functional.normalize(aligned.query, dim=4, eps=TINY)
    distances = (1 - (support * query).sum(dim=4)).sum(dim=3)
    return Scores(-distances.mT)
