"""The videos, frames and crops of episode i: a pure function of names and a seed.

An episode is the unit of few-shot learning: ``way`` classes, ``shot`` support videos of each,
``queries`` query videos of each. It holds no pixels; `tasd.loader` decodes them. The same
names, shape and seed give the same episodes on any machine, whatever the order of files, the
number of ranks or the prefetching.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasd.errors import UserError
from tasd.progress import counted

SecondView = Literal["none", "support", "query"]


@dataclass(frozen=True)
class View:
    """The frames, crop and augmentation of one video.

    video: the id in its store, ``class/name``.
    positions: the place of each frame in the video, as fractions in [0, 1) of its length.
    crop: top and left of the crop, as fractions in [0, 1] of their largest values.
    flip: mirrored left to right.
    jitter: brightness, contrast and saturation factors; (1, 1, 1) changes nothing.
    """

    video: str
    positions: tuple[float, ...]
    crop: tuple[float, float] = (0.5, 0.5)
    flip: bool = False
    jitter: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def frames(self, stored: int) -> list[int]:
        """Return the indices of its frames among the ``stored`` frames of the video."""
        return [min(int(position * stored), stored - 1) for position in self.positions]


@dataclass(frozen=True)
class Episode:
    """One few-shot task; labels are 0..way-1 and index ``classes``."""

    index: int
    classes: tuple[str, ...]
    support: tuple[View, ...]
    query: tuple[View, ...]
    support_labels: tuple[int, ...]
    query_labels: tuple[int, ...]
    second: tuple[View, ...] = ()  # second views of the support or query videos, for the teacher

    @property
    def way(self) -> int:
        """Number of classes in the episode."""
        return len(self.classes)

    @property
    def views(self) -> tuple[View, ...]:
        """All views for the loader to decode: support, then query, then the second views."""
        return self.support + self.query + self.second


def evaluation_view(video: str, frames: int) -> View:
    """Return the test view: the middle of each of ``frames`` segments, centre crop, no flip."""
    return View(video, tuple((segment + 0.5) / frames for segment in range(frames)))


@dataclass(frozen=True)
class EpisodeSampler(Sequence[Episode]):
    """Episodes 0 .. length-1; `sampler[i]` depends only on (seed, i), the names and the shape.

    videos: for each class the ids of its videos; their order does not matter.
    training: random frame of each segment, random crop and flip (TSN sampling); otherwise the
        middle of each segment and the centre crop.
    second: the videos that get a second view (pair modes SS and QS).
    jitter: strength of colour jitter in training, 0 for none. flip: whether training flips.
    distinct_groups: for each video id the id of its source; if given, support and query of one
        class come from different sources.

    Raises `UserError` when there are too few classes or a class has too few videos.
    """

    videos: Mapping[str, Sequence[str]]
    way: int
    shot: int
    queries: int
    length: int
    seed: int
    frames: int = 8
    training: bool = False
    second: SecondView = "none"
    jitter: float = 0.0
    flip: bool = True
    distinct_groups: Mapping[str, str] | None = None
    source: str = "the store"  # named in messages

    def __post_init__(self) -> None:
        need = self.shot + self.queries
        check_shape(way=self.way, shot=self.shot, queries=self.queries)
        if self.way > len(self.videos):
            fewer = f"use --way {len(self.videos)} or fewer"
            raise UserError(
                f"--way {self.way} asks for more classes than {self.source} has "
                f"({len(self.videos)}); {fewer if len(self.videos) > 1 else 'prepare more classes'}"
            )
        for name, ids in self.videos.items():
            if len(ids) < need:
                raise UserError(
                    f"class {name!r} of {self.source} has {counted(len(ids), 'video')}; a "
                    f"{self.way}-way {self.shot}-shot episode with "
                    f"{counted(self.queries, 'query')} needs {need}: lower --queries or "
                    "--shot, or add videos"
                )
        if self.distinct_groups is not None:
            for name, ids in self.videos.items():
                groups = {self.distinct_groups[video] for video in ids}
                if len(groups) < 2:
                    raise UserError(
                        f"all videos of class {name!r} of {self.source} come from one source; "
                        "--distinct-groups needs two: leave it out"
                    )
        ordered = {name: sorted(self.videos[name]) for name in sorted(self.videos)}
        object.__setattr__(self, "videos", ordered)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Episode]:
        return (self[i] for i in range(self.length))

    def __getitem__(self, index: int) -> Episode:  # type: ignore[override]
        if not 0 <= index < self.length:
            raise IndexError(index)
        random = generator(self.seed, index)
        names = list(self.videos)
        classes = tuple(names[c] for c in _choose(random, len(names), self.way))
        chosen = [self._draw(random, self.videos[name]) for name in classes]
        support = [video for videos in chosen for video in videos[: self.shot]]
        query = [video for videos in chosen for video in videos[self.shot :]]
        second = {"none": [], "support": support, "query": query}[self.second]
        return Episode(
            index=index,
            classes=classes,
            support=tuple(self._view(random, video) for video in support),
            query=tuple(self._view(random, video) for video in query),
            support_labels=tuple(label for label in range(self.way) for _ in range(self.shot)),
            query_labels=tuple(label for label in range(self.way) for _ in range(self.queries)),
            second=tuple(self._view(random, video) for video in second),
        )

    def _draw(self, random: np.random.Generator, ids: Sequence[str]) -> list[str]:
        """Draw the videos of one class, support then query, all distinct."""
        need = self.shot + self.queries
        if self.distinct_groups is None:
            return [ids[v] for v in _choose(random, len(ids), need)]
        order = [ids[v] for v in _choose(random, len(ids), len(ids))]
        support = order[: self.shot]
        sources = {self.distinct_groups[video] for video in support}
        query = [video for video in order if self.distinct_groups[video] not in sources]
        if len(query) < self.queries:
            raise UserError(
                f"class {ids[0].split('/')[0]!r} has too few videos from other sources than its "
                f"support for {self.queries} queries: lower --queries or --shot, or leave out "
                "--distinct-groups"
            )
        return support + query[: self.queries]

    def _view(self, random: np.random.Generator, video: str) -> View:
        if not self.training:
            return evaluation_view(video, self.frames)
        draws = random.random(self.frames + 6)
        inside, (top, left, flip, *colour) = draws[: self.frames], draws[self.frames :]
        return View(
            video,
            positions=tuple(float((s + u) / self.frames) for s, u in enumerate(inside)),
            crop=(float(top), float(left)),
            flip=self.flip and bool(flip < 0.5),
            jitter=tuple(float(1 + self.jitter * (2 * u - 1)) for u in colour),  # type: ignore[arg-type]
        )


def check_shape(*, way: int, shot: int, queries: int) -> None:
    """Raise `UserError` where an episode of this shape is none."""
    if way < 2 or shot < 1 or queries < 1:
        raise UserError(
            f"--way {way} --shot {shot} --queries {queries} is no episode; --way is at least 2, "
            "--shot and --queries at least 1"
        )


def generator(seed: int, index: int, purpose: str = "episode") -> np.random.Generator:
    """Return the random generator of episode ``index``, equal on every platform."""
    digest = hashlib.sha256(f"{purpose}/{seed}/{index}".encode()).digest()
    # The hash is one big-endian number; PCG64 takes its words from the lowest to the highest.
    words = np.frombuffer(digest, ">u4", count=4)[::-1]
    return np.random.Generator(np.random.PCG64(words.astype(np.uint32)))


def _choose(random: np.random.Generator, among: int, count: int) -> list[int]:
    """Draw ``count`` distinct numbers below ``among``, every ordered choice equally likely.

    Ranks uniform draws instead of calling ``Generator.choice``, whose stream numpy may change
    between versions.
    """
    return [int(i) for i in np.argsort(random.random(among), kind="stable")[:count]]
