"""The episodes that a candidate is tested on."""

from dataclasses import dataclass
from pathlib import Path

from tasd.episodes import EpisodeSampler
from tasd.episodes.files import load_episodes
from tasd.episodes.sampler import check_shape as check_shape_of
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.store import VideoSource
from tasd.store.source import classes_of


@dataclass(frozen=True)
class EpisodeRequest:
    """Shape and number of the episodes, or the file that holds them.

    file: in place of drawn episodes; the other fields then have no effect.
    """

    way: int
    shot: int
    queries: int
    count: int
    distinct_groups: bool = False
    file: Path | None = None


def wanted_episodes(
    videos: VideoSource, split: str, request: EpisodeRequest, *, seed: int
) -> EpisodeTable:
    """Read the episodes from a file, or draw them from ``split``. Raises `UserError`."""
    if request.file is not None:
        return load_episodes(request.file)
    return EpisodeTable.draw(_sampler(videos, split, request, seed=seed))


def check_shape(request: EpisodeRequest) -> None:
    """Raise `UserError` where no store could fill such an episode."""
    if request.file is None:
        check_shape_of(way=request.way, shot=request.shot, queries=request.queries)


def check_episodes(videos: VideoSource, split: str, request: EpisodeRequest) -> None:
    """Raise `UserError` where the classes of ``split`` cannot fill an episode of ``request``.

    Episodes of a file are not checked here.
    """
    if request.file is None:
        _sampler(videos, split, request, seed=0)


def _sampler(
    videos: VideoSource, split: str, request: EpisodeRequest, *, seed: int
) -> EpisodeSampler:
    tested_classes(videos, split)
    classes = classes_of(videos, split)
    sources = videos.groups if request.distinct_groups else None
    if request.distinct_groups and sources is None:
        raise UserError(
            f"--distinct-groups needs the source of each video, and {videos.path} has no "
            "/video_group; write it there, or leave out --distinct-groups"
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


def tested_classes(videos: VideoSource, split: str) -> tuple[str, ...]:
    """Return the classes of ``split`` that have videos. Raises `UserError` where none has."""
    classes = tuple(classes_of(videos, split))
    if not classes:
        others = ", ".join(other for other in videos.splits if videos.classes(other))
        raise UserError(f"{videos.path} has no videos of the split {split!r}; it has: {others}")
    return classes
