"""The episodes that a candidate is tested on."""

from dataclasses import dataclass
from pathlib import Path

from tasd.episodes import EpisodeSampler
from tasd.episodes.files import load_episodes
from tasd.episodes.table import EpisodeTable, drawn
from tasd.errors import UserError
from tasd.features.store import FeatureStore
from tasd.store import Store


@dataclass(frozen=True)
class Shape:
    """Which episodes are wanted; those in ``file``, where one is named, whatever their shape."""

    way: int
    shot: int
    queries: int
    count: int
    distinct_groups: bool = False
    file: Path | None = None


def wanted_episodes(
    videos: Store | FeatureStore, split: str, shape: Shape, *, seed: int
) -> EpisodeTable:
    """The episodes of a file, or drawn from the classes of ``split``. Raises `UserError`."""
    if shape.file is not None:
        return load_episodes(shape.file)
    return drawn(sampler(shape, videos, split, seed=seed))


def sampler(
    shape: Shape, videos: Store | FeatureStore, split: str, *, seed: int = 0
) -> EpisodeSampler:
    """What draws the episodes. Raises `UserError` where the classes of ``split`` fill none."""
    tested_classes(videos, split)
    classes = videos.classes(split)
    sources = videos.groups if shape.distinct_groups else None
    if shape.distinct_groups and sources is None:
        raise UserError(
            f"--distinct-groups needs to know the source of each video, and {videos.path} has no "
            "/video_group; write it there, or leave the option out"
        )
    return EpisodeSampler(
        videos=classes,
        way=shape.way,
        shot=shape.shot,
        queries=shape.queries,
        length=shape.count,
        seed=seed,
        distinct_groups=sources,
        source=f"the {split} classes of {videos.path}",
    )


def tested_classes(store: Store | FeatureStore, split: str) -> tuple[str, ...]:
    """The classes of ``split`` that have videos. Raises `UserError` where none has."""
    classes = tuple(store.classes(split))
    if not classes:
        there = ", ".join(other for other in store.splits if store.classes(other))
        raise UserError(f"{store.path} has no videos of the split {split!r}; it has: {there}")
    return classes
