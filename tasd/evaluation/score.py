"""Scores of many episodes from cached features, in batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation import metrics
from tasd.evaluation.parallel import side_by_side
from tasd.evaluation.prepared import Buffers, PreparedVideos, prepare
from tasd.features.store import FeatureStore
from tasd.matchers.base import Matcher
from tasd.types import Task

# Bytes of gathered features in one batch. On a CPU a batch that fits the cache of a core is
# fastest (measured: 12,000 episodes/s against 3,900 with 128 episodes); on a GPU a larger one is.
BATCH_BYTES = {"cpu": 6 << 20, "cuda": 512 << 20}
# A pair takes less time in the table of all pairs than in a batch of episodes (measured: 1.4
# against 3 to 4 microseconds with BiMHM and OTAM).
PAIR_TABLE_GAIN = 2.0
# Each side of a block of that table: videos, and bytes of videos at most.
BLOCK, BLOCK_BYTES = 32, 32 << 20
LOOKED_UP = 1 << 14  # episodes whose pairs are looked up in the table at a time
SCORED = 1 << 14  # episodes whose scores are held at a time where they are counted only


@dataclass(frozen=True)
class Result:
    """The scores of each episode, and the predictions that follow from them.

    logits: columns are the classes of the episode in the order of ``episodes.chosen``; queries
    are in the order of ``episodes.query``, class by class.
    """

    episodes: EpisodeTable
    logits: Float32[np.ndarray, "episodes query way"]

    @cached_property
    def truth(self) -> Int64[np.ndarray, "episodes query"]:
        """The true class of each query."""
        return np.repeat(self.episodes.chosen, self.episodes.queries, axis=1)

    @cached_property
    def predicted(self) -> Int64[np.ndarray, "episodes query"]:
        """The predicted class of each query."""
        chosen: Int64[np.ndarray, "episodes way"] = self.episodes.chosen
        return np.asarray(np.take_along_axis(chosen, self.logits.argmax(axis=2), axis=1))

    @property
    def correct(self) -> Bool[np.ndarray, "episodes query"]:
        """True where the prediction is right."""
        return np.asarray(self.predicted == self.truth)

    @cached_property
    def accuracy(self) -> Float[np.ndarray, " episodes"]:
        """The share of right predictions in each episode."""
        return metrics.episode_accuracy(self.correct)


def score(
    features: FeatureStore,
    episodes: EpisodeTable,
    matcher: Matcher,
    *,
    batch: int | None = None,
    device: torch.device | str = "cpu",
) -> Result:
    """Score ``episodes`` on cached features.

    The matcher's work on each video alone is done once. Then batches of episodes are compared.
    Where the matcher's scores are functions of two videos and it is less work, all pairs of
    videos are compared once instead.

    batch: number of episodes at a time; default: by their size.

    Raises `UserError` where features and episodes do not fit each other, where the matcher needs
    maps and there are none, and where a score is not finite.
    """
    (result,) = score_in_parts(
        features, episodes, matcher, batch=batch, device=device, size=len(episodes)
    )
    return result


def score_in_parts(
    features: FeatureStore,
    episodes: EpisodeTable,
    matcher: Matcher,
    *,
    batch: int | None = None,
    device: torch.device | str = "cpu",
    size: int = SCORED,
) -> Iterator[Result]:
    """Score ``episodes`` as `score` does, and yield the results of about ``size`` at a time."""
    if matcher.needs_maps and features.maps is None:
        raise UserError(
            f"the matcher {type(matcher).__name__} reads feature maps and {features.path} has "
            "none; write it with tasd features --maps, or choose a matcher that reads none"
            f"{matcher.without_maps and f', or {matcher.without_maps}'}"
        )
    matcher = matcher.to(device).eval()
    with torch.inference_mode(), torch.autocast(torch.device(device).type, enabled=False):
        videos = prepare(matcher, features, episodes, torch.device(device))
    compare = _comparison(matcher, videos, episodes, batch)
    whole = batch or _batch_size(videos, episodes)  # a part is made of whole batches
    for part in episodes.parts(-(-size // whole) * whole):
        logits = compare(part)
        if not np.isfinite(logits).all():
            raise UserError(
                f"{type(matcher).__name__} gives scores that are not finite on {features.path}; "
                "check its features, or take another checkpoint"
            )
        yield Result(part, logits)


def compared(
    matcher: Matcher, videos: PreparedVideos, episodes: EpisodeTable, *, batch: int | None = None
) -> Float32[np.ndarray, "episodes query way"]:
    """Return the logits of ``episodes`` from their prepared videos."""
    return _comparison(matcher, videos, episodes, batch)(episodes)


Comparison = Callable[[EpisodeTable], Float32[np.ndarray, "episodes query way"]]


def _comparison(
    matcher: Matcher, videos: PreparedVideos, episodes: EpisodeTable, batch: int | None
) -> Comparison:
    """Return what computes the logits of a part of ``episodes``, in the way for all of them."""
    device = videos.frames.device

    def compare(part: EpisodeTable) -> Float32[np.ndarray, "episodes query way"]:
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            if table is not None:
                return _looked_up(table, part)
            return _by_batches(matcher, videos, part, batch)

    alone = videos.ready and videos.maps is None
    table = None
    if alone and pair_table_pays(matcher, episodes):
        table = _all_pairs(matcher, videos)
    return compare


def _by_batches(
    matcher: Matcher, videos: PreparedVideos, episodes: EpisodeTable, batch: int | None
) -> Float32[np.ndarray, "episodes query way"]:
    size = batch or _batch_size(videos, episodes)
    support = episodes.support.reshape(len(episodes), -1)
    query = episodes.query.reshape(len(episodes), -1)
    labels = torch.arange(episodes.way, device=videos.frames.device)
    labels = labels.repeat_interleave(episodes.shot)
    compare = matcher.compare if videos.ready else matcher
    buffers = Buffers(), Buffers()
    logits = torch.empty(len(episodes), query.shape[1], episodes.way, device=videos.frames.device)

    def scores(start: int) -> None:
        shots = videos.gather(support[start : start + size], into=buffers[0])
        queries = videos.gather(query[start : start + size], into=buffers[1])
        task = Task(
            way=episodes.way,
            support=shots.frames,
            query=queries.frames,
            support_labels=labels.expand(len(shots.frames), -1),
            support_maps=shots.maps,
            query_maps=queries.maps,
            support_norms=shots.norms,
            query_norms=queries.norms,
        )
        logits[start : start + size] = compare(task).logits

    side_by_side(scores, range(0, len(episodes), size), device=videos.frames.device)
    return logits.cpu().numpy()


def _batch_size(videos: PreparedVideos, episodes: EpisodeTable) -> int:
    """Return the number of episodes whose features together take about `BATCH_BYTES`."""
    limit = BATCH_BYTES.get(videos.frames.device.type, BATCH_BYTES["cpu"])
    return max(1, limit // int(videos.bytes_each * _members(episodes)))


def _members(episodes: EpisodeTable) -> int:
    """Return the number of videos of an episode."""
    return int(episodes.support[0].size + episodes.query[0].size)


def pair_table_pays(matcher: Matcher, episodes: EpisodeTable) -> bool:
    """Return True where comparing all pairs of videos once is less work than the episodes' pairs.

    Possible where a class's score is the mean over its shots of a function of two videos.
    """
    alone = not (matcher.task_level or matcher.transductive)
    if not (alone and (matcher.pairwise or episodes.shot == 1)):
        return False
    pairs = int(episodes.support[0].size * episodes.query[0].size * len(episodes))
    return pairs * PAIR_TABLE_GAIN > len(episodes.videos) ** 2


def _all_pairs(matcher: Matcher, videos: PreparedVideos) -> Float32[np.ndarray, "videos videos"]:
    """Compare all pairs of videos."""
    block = max(1, min(BLOCK, BLOCK_BYTES // videos.bytes_each))
    with torch.inference_mode(), torch.autocast(videos.frames.device.type, enabled=False):
        return pair_table(matcher, videos.frames, block=block).cpu().numpy()


def _looked_up(
    table: Float32[np.ndarray, "videos videos"], episodes: EpisodeTable
) -> Float32[np.ndarray, "episodes query way"]:
    """Look up the scores of some episodes in the table of all pairs."""
    support = episodes.support.reshape(len(episodes), 1, -1)
    query = episodes.query.reshape(len(episodes), -1, 1)
    logits = np.empty((*query.shape[:2], episodes.way), np.float32)
    for start in range(0, len(episodes), LOOKED_UP):
        part = slice(start, start + LOOKED_UP)
        pairs = table[query[part], support[part]]
        by_class = pairs.reshape(*pairs.shape[:2], episodes.way, episodes.shot)
        logits[part] = by_class.mean(axis=3)
    return logits


def pair_table(
    matcher: Matcher, frames: Float[Tensor, "videos time channels"], *, block: int = BLOCK
) -> Float[Tensor, "videos videos"]:
    """Return the score of each video (row) as a query against each video (column) as one shot."""
    labels = torch.arange(len(frames), device=frames.device)[None]

    def rows(start: int) -> Tensor:
        queries = frames[start : start + block][None]
        parts = []
        for first in range(0, len(frames), block):
            shots = frames[first : first + block][None]
            own = labels[:, : shots.shape[1]]
            task = Task(way=shots.shape[1], support=shots, query=queries, support_labels=own)
            parts.append(matcher.compare(task).logits[0])
        return torch.cat(parts, dim=1)

    return torch.cat(side_by_side(rows, range(0, len(frames), block), device=frames.device))
