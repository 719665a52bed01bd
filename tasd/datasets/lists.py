"""Lists of videos: their lines as classes and names, and the choice of videos by a list."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
from tasd.datasets.doubles import is_replacement
from tasd.datasets.label_maps import find_label_map, read_label_map
from tasd.datasets.layout import is_parent
from tasd.datasets.list_lines import Line, read_lines, unknown_format
from tasd.errors import UserError
from tasd.foreign import clean


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


def read_list(
    dataset: Dataset,
    path: Path,
    *,
    root: Path | None = None,
    labels: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Listed, ...]:
    """Read the videos that a list names, each once. Raises `UserError`, which names the line.

    root: where the videos are, for absolute paths and for labels in files of the data set.
    labels: the names of labels that are numbers; by default a file beside the list. say: is told
    how many lines of a list of all classes are of no split, which are passed over.
    """
    lines = read_lines(path)
    reader = _Reader(dataset, path, root, labels)
    named: dict[Listed, None] = {}
    passed: Counter[str] = Counter()
    for line in lines:
        listed = reader.listed(line)
        labelled = line.number is not None or line.class_name is not None
        if dataset.published and labelled and class_key(listed.class_name) not in dataset.classes:
            passed[listed.class_name] += 1
        else:
            named[listed] = None
    if not named:
        raise UserError(
            f"no line of {path} is of a class of the splits of {dataset.name}: the first is of "
            f"{clean(next(iter(passed)))!r}; choose another list or data set"
        )
    if passed:
        say(
            f"{path}: {passed.total():,} of {len(lines):,} lines passed over, of classes in no "
            f"split of {dataset.name} ({len(passed)}, as {clean(min(passed))!r})"
        )
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


@dataclass(frozen=True)
class _Reader:
    """Finds class and name of each line of one list."""

    dataset: Dataset
    path: Path
    root: Path | None = None
    labels: Path | None = None

    @cached_property
    def _class_of(self) -> Mapping[str, str]:
        """The class of each video by its name, where files of the data set hold them."""
        return self.dataset.labels(self.root) if self.dataset.labels and self.root else {}

    @cached_property
    def _class_of_number(self) -> Mapping[int, str] | None:
        found = self.labels or find_label_map(self.path)
        return read_label_map(found) if found else None

    @cached_property
    def _bases(self) -> tuple[str, ...]:
        if self.root is None:
            return ()
        return tuple({str(self.root.absolute()): None, str(self.root.resolve()): None})

    def listed(self, line: Line) -> Listed:
        parts = self._below(line).split("/")
        folder, name = parts[-2] if len(parts) > 1 else "", stem(normal(parts[-1]))
        if not name or (len(parts) > 1 and not folder):
            raise unknown_format(line.where, line.text)
        class_name = self._class_of.get(name) or line.class_name
        class_name = class_name or self._class_name(line, folder, name)
        spelled = self.dataset.class_name(class_name)
        if not spelled.strip():
            raise unknown_format(line.where, line.text)
        return Listed(spelled, name)

    def _below(self, line: Line) -> str:
        """Return a path below the root. Raises `UserError` where it leads out."""
        if ".." not in line.path.split("/"):
            if not line.path.startswith("/"):
                return line.path
            path = re.sub("/+", "/", line.path)
            for base in self._bases:
                if path.startswith(f"{base.rstrip('/')}/"):
                    return path.removeprefix(base).lstrip("/")
        raise UserError(
            f"{line.where} leads out of the data set: '{clean(line.text[:80])}'; write "
            f"class/name, or paths below --root{f' {self.root}' if self.root else ''}"
        )

    def _class_name(self, line: Line, folder: str, name: str) -> str:
        """Return the class by folder, number or name: the surest that the line has."""
        if line.number is None:
            found = folder or self.dataset.class_in_name(name)
        elif self.labels:
            found = self._numbered(line, folder)
        elif self._is_class(folder):
            found = folder
        elif self._class_of_number is not None:
            found = self._numbered(line, folder)
        else:
            found = self.dataset.class_in_name(name) or ("" if is_parent(folder) else folder)
        if found:
            return found
        if line.number is None:
            raise unknown_format(line.where, line.text)
        raise UserError(
            f"{line.where} has the label {line.number} and no class: "
            f"'{clean(line.text[:80])}'; name the file of the labels' names with --labels, or "
            "lay it beside the list as label_map.txt"
        )

    def _is_class(self, folder: str) -> bool:
        if self.dataset.published:
            return class_key(folder) in self.dataset.classes
        return bool(folder) and not is_parent(folder)

    def _numbered(self, line: Line, folder: str) -> str:
        names = self._class_of_number or {}
        assert line.number is not None
        if line.number not in names:
            raise UserError(
                f"{line.where} has the label {line.number}, and the labels "
                f"{self.labels or find_label_map(self.path)} have {min(names)} to {max(names)}; "
                "name the right file with --labels"
            )
        found = names[line.number]
        known = class_key(folder) in self.dataset.classes
        if known and class_key(found) != class_key(folder):
            raise UserError(
                f"{line.where} has the label {line.number}, which is {found!r} in {self.labels}, "
                f"but the folder {folder!r}; do the numbers of this file begin at 0 and of that "
                "at 1? Name the right file with --labels"
            )
        return found


def stem(name: str) -> str:
    """Return a name without the suffix of a video."""
    base, ending = os.path.splitext(name)
    return base if ending.lower() in VIDEO_SUFFIXES else name


def _keys(dataset: Dataset, line: Listed) -> list[tuple[str, str]]:
    """Return the keys to look up, the surest first: by name or key, in its class or in none."""
    names = (line.name, dataset.video_key(line.name))
    return [(class_key(name), stem) for name in (line.class_name, "") for stem in names]


def _index(dataset: Dataset, found: Scan) -> dict[tuple[str, str], SourceVideo]:
    videos = sorted([*found.videos, *found.loose], key=_preference)
    named = {(class_key(v.class_name), stem(v.name)): v for v in reversed(videos)}
    keyed = {(place, dataset.video_key(stem)): v for (place, stem), v in named.items()}
    return {**keyed, **named}


def _preference(video: SourceVideo) -> tuple[bool, bool]:
    return not is_replacement(video), video.member is not None


def _replaced(videos: Sequence[SourceVideo]) -> tuple[Problem, ...]:
    copies = [video.path for video in videos if is_replacement(video)]
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
