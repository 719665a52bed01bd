"""The episodes that a candidate is tested on."""

from dataclasses import dataclass
from pathlib import Path

from tasd.episodes import EpisodeSampler
from tasd.episodes.files import load_episodes
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.features.store import FeatureStore
from tasd.store import Store


@dataclass(frozen=True)
class EpisodeRequest:
    """Which episodes are wanted; those in ``file``, where one is named, whatever their shape."""

    way: int
    shot: int
    queries: int
    count: int
    distinct_groups: bool = False
    file: Path | None = None


def wanted_episodes(
    videos: Store | FeatureStore, split: str, request: EpisodeRequest, *, seed: int
) -> EpisodeTable:
    """The episodes of a file, or drawn from the classes of ``split``. Raises `UserError`."""
    if request.file is not None:
        return load_episodes(request.file)
    return EpisodeTable.draw(sampler(request, videos, split, seed=seed))


def sampler(
    request: EpisodeRequest, videos: Store | FeatureStore, split: str, *, seed: int = 0
) -> EpisodeSampler:
    """What draws the episodes. Raises `UserError` where the classes of ``split`` fill none."""
    tested_classes(videos, split)
    classes = videos.classes(split)
    sources = videos.groups if request.distinct_groups else None
    if request.distinct_groups and sources is None:
        raise UserError(
            f"--distinct-groups needs to know the source of each video, and {videos.path} has no "
            "/video_group; write it there, or leave the option out"
        )
    return EpisodeSampler(
        videos=classes,
        way=request.way,
        shot=request.shot,
        queries=request.queries,
        length=request.count,
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
