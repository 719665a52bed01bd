"""Published lists of videos, in both line formats of this field, and the choice by a list."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tasd.datasets.base import (
    VIDEO_SUFFIXES,
    Dataset,
    Problem,
    Scan,
    SourceVideo,
    class_key,
    normal,
)
from tasd.errors import UserError

# ``train0//`` of ``train0//videos/air_drumming/x.mp4``: the split and the number of the class.
_LABEL_BEFORE = re.compile(r"[A-Za-z]+\d*//")
# `` 1`` of ``Archery/v_Archery_g01_c01.avi 1``, as UCF101's own lists write it.
_LABEL_AFTER = re.compile(r"(?<=\.[A-Za-z0-9]{3})\s+\d+$")


@dataclass(frozen=True)
class Listed:
    """One line of a list: a video that the data set should hold; ``name`` has no suffix."""

    class_name: str
    name: str

    @property
    def id(self) -> str:
        """The id ``class/name``."""
        return f"{self.class_name}/{self.name}"


@dataclass(frozen=True)
class Selection:
    """The videos to prepare, the listed videos that are missing, and problems."""

    videos: tuple[SourceVideo, ...]
    missing: tuple[Listed, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_list(dataset: Dataset, path: Path) -> tuple[Listed, ...]:
    """Read the videos that a list names, each once. Raises `UserError`, which names the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"the list {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(
            f"the list {path} is not a text in UTF-8; its lines must be class/name"
        ) from None
    named = {
        _listed(dataset, line.strip(), where=f"line {number} of {path}"): None
        for number, line in enumerate(lines, start=1)
        if line.strip()
    }
    if not named:
        raise UserError(f"the list {path} is empty; its lines must be class/name")
    return tuple(named)


def select(dataset: Dataset, found: Scan, listed: Iterable[Listed] | None = None) -> Selection:
    """Choose the videos to prepare: the listed ones, or without a list all that were found.

    For Kinetics without a list: up to 100 videos a class, in the order of their names.
    """
    if listed is None:
        return Selection(
            _first_of_each(found.videos, dataset.per_class), (), _unplaced(dataset, found)
        )
    index = _index(dataset, found)
    chosen: dict[str, SourceVideo] = {}
    missing: list[Listed] = []
    for line in dict.fromkeys(listed):
        video = next((index[key] for key in _keys(dataset, line) if key in index), None)
        if video is None:
            missing.append(line)
        else:
            chosen[video.path] = replace(video, class_name=video.class_name or line.class_name)
    videos = sorted(chosen.values(), key=lambda video: (video.class_name, video.name))
    problems = (*_strangers(dataset, missing), *_replaced(videos))
    return Selection(tuple(videos), tuple(missing), problems)


def _listed(dataset: Dataset, line: str, *, where: str) -> Listed:
    path = _LABEL_AFTER.sub("", _LABEL_BEFORE.sub("", line, count=1))
    parts = path.split("/")
    if parts[0] == "" or ".." in parts or "\\" in path or "\0" in path:
        raise UserError(
            f"{where} leads out of the data set: {line!r}; write class/name, below --root"
        )
    if len(parts) < 2 or not all(parts[-2:]):
        raise UserError(f"{where} is not class/name: {line!r}; correct it or choose another list")
    return Listed(dataset.class_name(parts[-2]), _stem(normal(parts[-1])))


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in VIDEO_SUFFIXES else name


def _keys(dataset: Dataset, line: Listed) -> list[tuple[str, str]]:
    """Return the keys to look up, the surest first: by name or key, in its class or in none."""
    names = (line.name, dataset.video_key(line.name))
    return [(class_key(name), stem) for name in (line.class_name, "") for stem in names]


def _index(dataset: Dataset, found: Scan) -> dict[tuple[str, str], SourceVideo]:
    videos = sorted([*found.videos, *found.loose], key=lambda video: not _is_replacement(video))
    named = {(class_key(v.class_name), _stem(v.name)): v for v in reversed(videos)}
    keyed = {(place, dataset.video_key(stem)): v for (place, stem), v in named.items()}
    return {**keyed, **named}


def _is_replacement(video: SourceVideo) -> bool:
    """True for a copy in ``replacement/``, which mirrors give for files that are broken."""
    return any(part.startswith("replacement") for part in video.path.lower().split("/")[:-1])


def _replaced(videos: Sequence[SourceVideo]) -> tuple[Problem, ...]:
    copies = [video.path for video in videos if _is_replacement(video)]
    reason = f"{len(copies)} taken from the folder of replacements for broken files"
    return (Problem("replaced", copies[0], reason, len(copies)),) if copies else ()


def _first_of_each(videos: Sequence[SourceVideo], per_class: int | None) -> tuple[SourceVideo, ...]:
    taken: Counter[str] = Counter()
    kept = []
    for video in videos:
        taken[video.class_name] += 1
        if per_class is None or taken[video.class_name] <= per_class:
            kept.append(video)
    return tuple(kept)


def _unplaced(dataset: Dataset, found: Scan) -> tuple[Problem, ...]:
    if not found.loose:
        return ()
    lack = "in no class folder" if dataset.labels is None else "without a label of these classes"
    count = len(found.loose)
    videos = f"{count} video{'' if count == 1 else 's'}"
    reason = f"{videos} {lack}: left out, unless a list gives the class"
    return (Problem("no class", found.loose[0].path, reason),)


def _strangers(dataset: Dataset, missing: Sequence[Listed]) -> tuple[Problem, ...]:
    """Find listed classes that are in no split: the list is for another choice of classes."""
    known = set(dataset.classes.values())
    strange = sorted({line.class_name for line in missing} - known) if known else []
    reason = f"listed, but no class of the splits of {dataset.name}"
    return tuple(Problem("no split", name, reason) for name in strange)
