"""Episodes as integers: all tasks of an evaluation in three arrays, drawn at once."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int64

from tasd.episodes import EpisodeSampler
from tasd.episodes.room import room
from tasd.episodes.sampler import generator

# Most episodes, and bytes of random numbers, that are drawn at a time: so memory grows neither with
# the number of episodes nor with that of the videos of a class.
BLOCK, BLOCK_BYTES = 512, 16 << 20
HASHED = 1 << 14  # episodes whose names are joined at a time


@dataclass(frozen=True)
class EpisodeTable:
    """Equally shaped episodes over one list of videos.

    classes, videos: names, sorted by class and then by video. video_class: index into classes.
    support, query: for each episode and each of its classes, indices into videos; queries of
    classes without support come last.
    seed: the seed of the draw, or None for episodes from elsewhere.
    source: the origin of the episodes, for messages.
    """

    classes: tuple[str, ...]
    videos: tuple[str, ...]
    video_class: Int64[np.ndarray, " videos"]
    support: Int64[np.ndarray, "episodes way shot"]
    query: Int64[np.ndarray, "episodes query_way queries"]
    seed: int | None = None
    source: str = "the sampler"

    @classmethod
    def draw(cls, sampler: EpisodeSampler) -> "EpisodeTable":
        """Draw all episodes of ``sampler``, equal to `sampler[i]` one by one.

        Raises `UserError` where the sampler does.
        """
        counts = np.array([len(ids) for ids in sampler.videos.values()])
        blocks = _one_by_one(sampler) if sampler.distinct_groups else _in_blocks(sampler, counts)
        chosen = room((len(sampler), sampler.way, sampler.shot + sampler.queries))
        drawn = 0
        for block in blocks:
            chosen[drawn : drawn + len(block)] = block
            drawn += len(block)
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

    def parts(self, size: int) -> Iterator["EpisodeTable"]:
        """Yield the episodes in tables of ``size``, in order; the last one may be smaller."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield replace(self, support=self.support[part], query=self.query[part])

    @property
    def way(self) -> int:
        """Number of classes in each episode."""
        return int(self.support.shape[1])

    @property
    def shot(self) -> int:
        """Number of support videos of each class."""
        return int(self.support.shape[2])

    @property
    def queries(self) -> int:
        """Number of query videos of each class."""
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
        """sha256 of the shape and the names of the videos: equal for equal episodes."""
        names = np.array([f"{name}\n".encode() for name in self.videos], dtype=object)
        digest = hashlib.sha256(f"{self.support.shape[1:]} {self.query.shape[1:]}\n".encode())
        for part in (self.support, self.query):
            for start in range(0, len(part), HASHED):
                digest.update(b"".join(names[part[start : start + HASHED].ravel()]))
        return digest.hexdigest()

    def shape_text(self) -> str:
        """Return the shape, as in "5-way 1-shot, 1 query per class"."""
        queries = "1 query" if self.queries == 1 else f"{self.queries} queries"
        return f"{self.way}-way {self.shot}-shot, {queries} per class"


def _in_blocks(
    sampler: EpisodeSampler, counts: Int64[np.ndarray, " classes"]
) -> Iterator[Int64[np.ndarray, "block way members"]]:
    """Draw as `EpisodeSampler` does: one number for each class, then one for each of its videos.

    The smallest numbers are chosen, in rising order.
    """
    first = np.cumsum(counts) - counts  # index of the first video of each class
    need = sampler.shot + sampler.queries
    width = len(counts) + int(np.sort(counts)[-sampler.way :].sum())
    block = max(1, min(BLOCK, BLOCK_BYTES // (8 * (len(counts) + sampler.way * int(counts.max())))))
    for start in range(0, len(sampler), block):
        draws = np.empty((min(block, len(sampler) - start), width))
        for row, draw in enumerate(draws):
            generator(sampler.seed, start + row).random(out=draw)
        classes = _smallest(draws[:, : len(counts)], sampler.way)
        own = counts[classes]
        begin = len(counts) + np.cumsum(own, axis=1) - own
        columns = begin[:, :, None] + np.arange(counts.max())
        inside = np.arange(counts.max()) < own[:, :, None]
        # Behind the last video of a class stands 2, which is never among the smallest.
        rows = np.arange(len(draws))[:, None, None]
        videos = np.where(inside, draws[rows, np.minimum(columns, width - 1)], 2.0)
        yield first[classes][:, :, None] + _smallest(videos, need)


def _smallest(values: Float[np.ndarray, "*lead among"], count: int) -> Int64[np.ndarray, "..."]:
    """Return the places of the ``count`` smallest, in rising order; of equal ones the first."""
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
