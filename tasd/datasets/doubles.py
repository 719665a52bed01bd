"""Copies of one video under one root, such as ``train/`` beside ``train_256/``; one is kept."""

from collections import defaultdict
from collections.abc import Sequence

from tasd.datasets.base import Dataset, Problem, SourceVideo, class_key


def without_doubles(
    dataset: Dataset, videos: Sequence[SourceVideo]
) -> tuple[list[SourceVideo], list[Problem]]:
    """Return one copy of each video of a published data set, in order, and the others as problems.

    A replacement for a broken file is kept before others, then the largest file, then the first by
    path. In a person's own folders nothing but the whole name tells a video, and all are kept.
    """
    if not dataset.published and dataset.labels is None:
        return list(videos), []
    copies: dict[tuple[str, str, str], list[SourceVideo]] = defaultdict(list)
    parts = _parts(dataset, videos)
    for video in videos:
        class_name, key = class_key(video.class_name), dataset.video_key(video.name)
        part = video.name.removeprefix(key) if len(parts[class_name, key]) > 1 else ""
        copies[class_name, key, part].append(video)
    left: dict[SourceVideo, Problem] = {}
    for same in copies.values():
        kept, *others = sorted(same, key=_rank)
        for video in others:
            reason = f"left out: {kept.path} is a copy of the same video, {_why(kept, video)}"
            left[video] = Problem("duplicate", video.path, reason)
    return [video for video in videos if video not in left], list(left.values())


def is_replacement(video: SourceVideo) -> bool:
    """True for a copy in ``replacement/``, which mirrors give for files that are broken."""
    archive = video.member.archive.path if video.member else ""
    return below_replacement(video.path.rpartition("/")[0]) or below_replacement(archive)


def below_replacement(path: str) -> bool:
    """True where a part of a path is the folder of such copies, or an archive of it."""
    return any(part.startswith("replacement") for part in path.lower().split("/"))


def _parts(dataset: Dataset, videos: Sequence[SourceVideo]) -> dict[tuple[str, str], set[str]]:
    """Return the parts that names give of each source, such as ``_000012_000022`` of a video.

    A name without a part is that of the only part.
    """
    parts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for video in videos:
        key = dataset.video_key(video.name)
        part = video.name.removeprefix(key)
        parts[class_key(video.class_name), key] |= {part} if part else set()
    return parts


def _rank(video: SourceVideo) -> tuple[bool, int, bool, list[str]]:
    in_archive = video.member is not None
    return not is_replacement(video), -video.size_bytes, in_archive, video.path.split("/")


def _why(kept: SourceVideo, other: SourceVideo) -> str:
    if is_replacement(kept) and not is_replacement(other):
        return "a replacement"
    return "and larger" if kept.size_bytes > other.size_bytes else "and comes first"
