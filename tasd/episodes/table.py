"""Episodes as integers: all of an evaluation's tasks in three arrays, drawn and named at once."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int64

from tasd.episodes import EpisodeSampler
from tasd.episodes.sampler import generator

BLOCK = 512  # episodes drawn at a time, so that memory does not grow with their number


@dataclass(frozen=True)
class EpisodeTable:
    """Equally shaped episodes over one list of videos.

    classes, videos: names, sorted by class and then by video. video_class: index into classes.
    support, query: for each episode and each of its classes, indices into videos; where queries
    of other classes are asked about too, they come last.
    seed: what they were drawn from, or None for episodes of somebody's own.
    source: where they come from, for messages.
    """

    classes: tuple[str, ...]
    videos: tuple[str, ...]
    video_class: Int64[np.ndarray, " videos"]
    support: Int64[np.ndarray, "episodes way shot"]
    query: Int64[np.ndarray, "episodes asked queries"]
    seed: int | None = None
    source: str = "the sampler"

    @classmethod
    def draw(cls, sampler: EpisodeSampler) -> "EpisodeTable":
        """Draw all episodes of ``sampler``, equal to what `sampler[i]` gives one by one.

        Raises `UserError` where the sampler does.
        """
        counts = np.array([len(ids) for ids in sampler.videos.values()])
        picked = _one_by_one(sampler) if sampler.distinct_groups else _in_blocks(sampler, counts)
        shape = (0, sampler.way, sampler.shot + sampler.queries)
        chosen = np.concatenate([np.empty(shape, np.int64), *picked])
        return cls(
            classes=tuple(sampler.videos),
            videos=tuple(video for ids in sampler.videos.values() for video in ids),
            video_class=np.repeat(np.arange(len(counts)), counts),
            support=chosen[:, :, : sampler.shot],
            query=chosen[:, :, sampler.shot :],
            seed=sampler.seed,
            source=sampler.source,
        )

    def __len__(self) -> int:
        return len(self.support)

    @property
    def way(self) -> int:
        """How many classes each episode has."""
        return int(self.support.shape[1])

    @property
    def shot(self) -> int:
        """Support videos of each class."""
        return int(self.support.shape[2])

    @property
    def queries(self) -> int:
        """Query videos of each class."""
        return int(self.query.shape[2])

    @property
    def chosen(self) -> Int64[np.ndarray, "episodes way"]:
        """The classes of each episode, indices into ``classes``."""
        return np.asarray(self.video_class[self.support[:, :, 0]])

    @property
    def members(self) -> Int64[np.ndarray, "episodes members"]:
        """All videos of each episode, support first; indices into ``videos``."""
        parts = (self.support.reshape(len(self), -1), self.query.reshape(len(self), -1))
        return np.concatenate(parts, axis=1)

    @cached_property
    def hash(self) -> str:
        """sha256 of what was drawn, by names: equal on any machine, however it came about."""
        names = np.array([f"{name}\n".encode() for name in self.videos], dtype=object)
        digest = hashlib.sha256(f"{self.support.shape[1:]} {self.query.shape[1:]}\n".encode())
        for part in (self.support, self.query):
            digest.update(b"".join(names[part.ravel()]))
        return digest.hexdigest()

    def shape_text(self) -> str:
        """As in "5-way 1-shot, 1 query per class"."""
        queries = "1 query" if self.queries == 1 else f"{self.queries} queries"
        return f"{self.way}-way {self.shot}-shot, {queries} per class"


def _in_blocks(
    sampler: EpisodeSampler, counts: Int64[np.ndarray, " classes"]
) -> Iterator[Int64[np.ndarray, "block way members"]]:
    """What `EpisodeSampler` draws: one number for each class, then one for each of its videos.

    The smallest numbers win, in their order.
    """
    first = np.cumsum(counts) - counts  # of each class's videos
    need = sampler.shot + sampler.queries
    width = len(counts) + int(np.sort(counts)[-sampler.way :].sum())
    for start in range(0, len(sampler), BLOCK):
        draws = np.empty((min(BLOCK, len(sampler) - start), width))
        for row, draw in enumerate(draws):
            generator(sampler.seed, start + row).random(out=draw)
        classes = _smallest(draws[:, : len(counts)], sampler.way)
        own = counts[classes]
        begin = len(counts) + np.cumsum(own, axis=1) - own
        columns = begin[:, :, None] + np.arange(counts.max())
        inside = np.arange(counts.max()) < own[:, :, None]
        # Past its last video a class has no number of its own; 2 is never among the smallest.
        rows = np.arange(len(draws))[:, None, None]
        videos = np.where(inside, draws[rows, np.minimum(columns, width - 1)], 2.0)
        yield first[classes][:, :, None] + _smallest(videos, need)


def _smallest(values: Float[np.ndarray, "*lead among"], count: int) -> Int64[np.ndarray, "..."]:
    """Where the ``count`` smallest lie, in their order; of equal ones the first."""
    if count > 8:
        return np.argsort(values, axis=-1, kind="stable")[..., :count]
    values, found = values.copy(), []
    for _ in range(count):  # a few minima are much cheaper than a sort
        found.append(values.argmin(axis=-1))
        np.put_along_axis(values, found[-1][..., None], np.inf, axis=-1)
    return np.stack(found, axis=-1)


def _one_by_one(sampler: EpisodeSampler) -> Iterator[Int64[np.ndarray, "1 way members"]]:
    order = [video for ids in sampler.videos.values() for video in ids]
    place = {video: i for i, video in enumerate(order)}
    for episode in sampler:
        support = np.array([place[view.video] for view in episode.support])
        query = np.array([place[view.video] for view in episode.query])
        rows = (support.reshape(sampler.way, -1), query.reshape(sampler.way, -1))
        yield np.concatenate(rows, axis=1)[None]
