"""Ten thousand episodes from cached features, in batches; the same scores as one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from tasd import metrics
from tasd.episode_table import EpisodeTable
from tasd.errors import UserError
from tasd.features import FeatureStore
from tasd.matchers.base import Matcher
from tasd.types import Features, Task

# Bytes of gathered features in one batch: what a processor's cache holds beats larger batches
# (measured: 12,000 episodes/s against 3,900 with 128 episodes), a GPU wants more at a time.
BATCH_BYTES = {"cpu": 12 << 20, "cuda": 512 << 20}
# Prepared maps larger than this are not kept: they are read again for each episode.
KEPT_MAPS_BYTES = 4 << 30
PAIR_TABLE_GAIN = 1.0


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
        return np.take_along_axis(self.episodes.chosen, self.logits.argmax(axis=2), axis=1)

    @property
    def correct(self) -> Bool[np.ndarray, "episodes query"]:
        """Which queries were told rightly."""
        return self.predicted == self.truth

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
        videos = _prepare(matcher, features, episodes, torch.device(device))
        if pair_table_pays(matcher, episodes):
            logits = _by_pairs(matcher, videos, episodes)
        else:
            logits = _by_batches(matcher, videos, episodes, batch)
    if not np.isfinite(logits).all():
        raise UserError(
            f"{type(matcher).__name__} gives scores that are not finite on {features.path}; look "
            "at its features, or take another checkpoint"
        )
    return Result(episodes, logits)


@dataclass(frozen=True)
class _Videos:
    """What matchers compare, video by video in the order of the episode table.

    ready: `prepare` has run. maps may be a memory-mapped array in the layout of the file,
    (videos, time, channels, height, width), whose row numbers are ``rows``.
    """

    frames: Float[Tensor, "videos time channels"]
    maps: Float[Tensor, "videos channels time height width"] | None
    disk: np.ndarray | None
    rows: Int64[np.ndarray, " videos"]
    ready: bool

    def gather(self, index: Int64[np.ndarray, "episodes members"]) -> Features:
        """The videos of some episodes, one after the other."""
        flat = index.reshape(-1)
        where = torch.from_numpy(flat).to(self.frames.device)
        frames = self.frames.index_select(0, where)
        if self.maps is not None:
            return Features(frames, self.maps.index_select(0, where))
        if self.disk is not None:
            return Features(frames, _from_disk(self.disk, self.rows[flat], self.frames.device))
        return Features(frames)


def _from_disk(disk: np.ndarray, rows: Int64[np.ndarray, " rows"], device: torch.device) -> Tensor:
    maps = torch.from_numpy(np.ascontiguousarray(disk[rows])).to(device)
    return maps.float().transpose(1, 2)


def _prepare(
    matcher: Matcher, features: FeatureStore, episodes: EpisodeTable, device: torch.device
) -> _Videos:
    """Run `prepare` once for each video; where its maps would not fit, leave it to each episode."""
    rows = features.rows(episodes)
    disk = features.maps if matcher.needs_maps else None
    raw = torch.from_numpy(features.features)
    frames, maps = [], []
    for part in np.array_split(rows, max(1, len(rows) // 16)):
        own = raw[torch.from_numpy(part)].to(device).float()
        own_maps = None if disk is None else _from_disk(disk, part, device)
        said = matcher.prepare(Features(own, own_maps))
        if said.maps is not None and said.maps[0].nbytes * len(rows) > KEPT_MAPS_BYTES:
            everything = raw[torch.from_numpy(rows)].to(device).float()
            return _Videos(everything, None, disk, rows, ready=False)
        frames.append(said.frames)
        maps.append(said.maps)
    kept = None if maps[0] is None else torch.cat(maps)
    return _Videos(torch.cat(frames), kept, None, rows, ready=True)


def _by_batches(
    matcher: Matcher, videos: _Videos, episodes: EpisodeTable, batch: int | None
) -> Float32[np.ndarray, "episodes query way"]:
    """Compare a few episodes at a time."""
    size = batch or _batch_size(videos, episodes)
    support = episodes.support.reshape(len(episodes), -1)
    query = episodes.query.reshape(len(episodes), -1)
    labels = torch.arange(episodes.way, device=videos.frames.device)
    labels = labels.repeat_interleave(episodes.shot)
    compare = matcher.compare if videos.ready else matcher
    parts = []
    for start in range(0, len(episodes), size):
        chosen = slice(start, start + size)
        count = len(support[chosen])
        shown, asked = videos.gather(support[chosen]), videos.gather(query[chosen])
        task = Task(
            way=episodes.way,
            support=shown.frames.unflatten(0, (count, -1)),
            query=asked.frames.unflatten(0, (count, -1)),
            support_labels=labels.expand(count, -1),
            support_maps=None if shown.maps is None else shown.maps.unflatten(0, (count, -1)),
            query_maps=None if asked.maps is None else asked.maps.unflatten(0, (count, -1)),
        )
        parts.append(compare(task).logits.float().cpu())
    return torch.cat(parts).numpy()


def _batch_size(videos: _Videos, episodes: EpisodeTable) -> int:
    """Episodes whose features together are about `BATCH_BYTES`."""
    one = videos.frames[0].nbytes
    if videos.maps is not None:
        one += videos.maps[0].nbytes
    if videos.disk is not None:
        one += 4 * videos.disk[0].size
    members = episodes.members.shape[1]
    return max(1, BATCH_BYTES[videos.frames.device.type] // (one * members))


def pair_table_pays(matcher: Matcher, episodes: EpisodeTable) -> bool:
    """Whether comparing all pairs of videos once is less work than comparing those asked for.

    Possible where a class's score is the mean over its shots of a function of two videos.
    """
    alone = not (matcher.task_level or matcher.transductive)
    if not (alone and (matcher.pairwise or episodes.shot == 1)):
        return False
    asked = episodes.support[0].size * episodes.query[0].size * len(episodes)
    return asked * PAIR_TABLE_GAIN > len(episodes.videos) ** 2


def _by_pairs(
    matcher: Matcher, videos: _Videos, episodes: EpisodeTable
) -> Float32[np.ndarray, "episodes query way"]:
    """Compare every video with every other once, then look the scores up."""
    table = pair_table(matcher, videos.frames).cpu().numpy()
    count = len(episodes)
    support = episodes.support.reshape(count, 1, -1)
    pairs = table[episodes.query.reshape(count, -1, 1), support]
    by_class = pairs.reshape(count, -1, episodes.way, episodes.shot)
    return np.asarray(by_class.mean(axis=3))


def pair_table(
    matcher: Matcher, frames: Float[Tensor, "videos time channels"], *, block: int = 256
) -> Float[Tensor, "videos videos"]:
    """Scores of every video (row) as a query of every video (column) as a class's only shot."""
    count = len(frames)
    table = frames.new_empty(count, count)
    for first in range(0, count, block):
        shots = frames[first : first + block][None]
        labels = torch.arange(shots.shape[1], device=frames.device)[None]
        for row in range(0, count, block):
            queries = frames[row : row + block][None]
            task = Task(way=shots.shape[1], support=shots, query=queries, support_labels=labels)
            table[row : row + block, first : first + block] = matcher.compare(task).logits[0]
    return table
