"""Ten thousand episodes from cached features, in batches; the same scores as one by one."""

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

# Bytes of gathered features in one batch: what a core's cache holds beats larger batches
# (measured: 12,000 episodes/s against 3,900 with 128 episodes), a GPU wants more at a time.
BATCH_BYTES = {"cpu": 6 << 20, "cuda": 512 << 20}
# A pair costs less in the table of all pairs than in a batch of episodes (measured: 1.4 against
# 3 to 4 microseconds with BiMHM and OTAM).
PAIR_TABLE_GAIN = 2.0


@dataclass(frozen=True)
class Result:
    """The scores of every episode, and what follows from them.

    logits: columns are the classes of the episode in the order of ``episodes.chosen``; queries
    are in the order of ``episodes.query``, class by class.
    """

    episodes: EpisodeTable
    logits: Float32[np.ndarray, "episodes query way"]

    @cached_property
    def truth(self) -> Int64[np.ndarray, "episodes query"]:
        """The class of each query."""
        return np.repeat(self.episodes.chosen, self.episodes.queries, axis=1)

    @cached_property
    def predicted(self) -> Int64[np.ndarray, "episodes query"]:
        """The class that each query is taken for."""
        chosen: Int64[np.ndarray, "episodes way"] = self.episodes.chosen
        return np.asarray(np.take_along_axis(chosen, self.logits.argmax(axis=2), axis=1))

    @property
    def correct(self) -> Bool[np.ndarray, "episodes query"]:
        """Which queries were told rightly."""
        return np.asarray(self.predicted == self.truth)

    @cached_property
    def accuracy(self) -> Float[np.ndarray, " episodes"]:
        """The share of right answers in each episode."""
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

    What the matcher can say of a video alone is said once. Then either batches of episodes are
    compared or, for matchers that only ever compare two videos and where it is less work, all
    pairs of videos once. ``batch`` sets the number of episodes at a time.

    Raises `UserError` where features and episodes do not fit, or the matcher needs maps.
    """
    if matcher.needs_maps and features.maps is None:
        raise UserError(
            f"the matcher {type(matcher).__name__} reads feature maps and {features.path} has "
            "none; make it with tasd features --maps, or choose a matcher that needs frames only"
        )
    matcher = matcher.to(device).eval()
    with torch.inference_mode(), torch.autocast(torch.device(device).type, enabled=False):
        videos = prepare(matcher, features, episodes, torch.device(device))
    logits = compared(matcher, videos, episodes, batch=batch)
    if not np.isfinite(logits).all():
        raise UserError(
            f"{type(matcher).__name__} gives scores that are not finite on {features.path}; look "
            "at its features, or take another checkpoint"
        )
    return Result(episodes, logits)


def compared(
    matcher: Matcher, videos: PreparedVideos, episodes: EpisodeTable, *, batch: int | None = None
) -> Float32[np.ndarray, "episodes query way"]:
    """The logits of ``episodes`` from what ``matcher`` has said of each of their videos."""
    device = videos.frames.device
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        alone = videos.ready and videos.maps is None
        if alone and pair_table_pays(matcher, episodes):
            return _by_pairs(matcher, videos, episodes)
        return _by_batches(matcher, videos, episodes, batch)


def _by_batches(
    matcher: Matcher, videos: PreparedVideos, episodes: EpisodeTable, batch: int | None
) -> Float32[np.ndarray, "episodes query way"]:
    """Compare a few episodes at a time."""
    size = batch or _batch_size(videos, episodes)
    support = episodes.support.reshape(len(episodes), -1)
    query = episodes.query.reshape(len(episodes), -1)
    labels = torch.arange(episodes.way, device=videos.frames.device)
    labels = labels.repeat_interleave(episodes.shot)
    compare = matcher.compare if videos.ready else matcher
    buffers = Buffers(), Buffers()

    def scores(start: int) -> Tensor:
        shown = videos.gather(support[start : start + size], into=buffers[0])
        asked = videos.gather(query[start : start + size], into=buffers[1])
        task = Task(
            way=episodes.way,
            support=shown.frames,
            query=asked.frames,
            support_labels=labels.expand(len(shown.frames), -1),
            support_maps=shown.maps,
            query_maps=asked.maps,
            support_norms=shown.norms,
            query_norms=asked.norms,
        )
        return compare(task).logits.float()

    starts = range(0, len(episodes), size)
    return torch.cat(side_by_side(scores, starts, device=videos.frames.device)).cpu().numpy()


def _batch_size(videos: PreparedVideos, episodes: EpisodeTable) -> int:
    """Episodes whose features together are about `BATCH_BYTES`."""
    room = BATCH_BYTES.get(videos.frames.device.type, BATCH_BYTES["cpu"])
    return max(1, room // int(videos.bytes_each * episodes.members.shape[1]))


def pair_table_pays(matcher: Matcher, episodes: EpisodeTable) -> bool:
    """Whether comparing all pairs of videos once is less work than comparing those asked for.

    Possible where a class's score is the mean over its shots of a function of two videos.
    """
    alone = not (matcher.task_level or matcher.transductive)
    if not (alone and (matcher.pairwise or episodes.shot == 1)):
        return False
    asked = int(episodes.support[0].size * episodes.query[0].size * len(episodes))
    return asked * PAIR_TABLE_GAIN > len(episodes.videos) ** 2


def _by_pairs(
    matcher: Matcher, videos: PreparedVideos, episodes: EpisodeTable
) -> Float32[np.ndarray, "episodes query way"]:
    """Compare every video with every other once, then look the scores up."""
    table = pair_table(matcher, videos.frames).cpu().numpy()
    count = len(episodes)
    support = episodes.support.reshape(count, 1, -1)
    pairs = table[episodes.query.reshape(count, -1, 1), support]
    by_class = pairs.reshape(count, -1, episodes.way, episodes.shot)
    return np.asarray(by_class.mean(axis=3))


def pair_table(
    matcher: Matcher, frames: Float[Tensor, "videos time channels"], *, block: int = 32
) -> Float[Tensor, "videos videos"]:
    """Scores of every video (row) as a query of every video (column) as a class's only shot."""
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
