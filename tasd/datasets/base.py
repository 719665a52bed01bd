"""What a data set is: how its videos lie on the disk, and what their names say."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from tasd.datasets.splits import class_splits

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "divx", "f4v", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv"),
    )
)
FRAME_SUFFIXES = frozenset({".jpg", ".jpeg"})

Kind = Literal["video", "frames"]
ProblemKind = Literal["unreadable", "name", "duplicate", "no split", "no videos", "no class"]


@dataclass(frozen=True)
class SourceVideo:
    """One video as it lies in a data set.

    class_name: in the data set's own spelling. name: the stem of the file, or the whole file
    name where stems collide. path: below the root, with forward slashes.
    kind: a video file, or a folder of extracted JPEG frames (its size is theirs together).
    """

    class_name: str
    name: str
    path: str
    size_bytes: int
    kind: Kind = "video"

    @property
    def id(self) -> str:
        """``class/name``, unique in a data set."""
        return f"{self.class_name}/{self.name}"


@dataclass(frozen=True)
class Problem:
    """Something of a data set that could not be taken as it is; ``path`` lies below the root."""

    kind: ProblemKind
    path: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """What was found below a root.

    videos: by class and name. loose: videos outside any class folder, which a list may place;
    their class is "". problems: what could not be taken, or not without a word.
    """

    videos: tuple[SourceVideo, ...]
    loose: tuple[SourceVideo, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """The conventions of one data set: functions of names, and of files of labels where it has any.

    name: on the command line. layout: how its files lie, for messages.
    published: its classes are split by lists in splits/; otherwise every folder is a class.
    group: the source that a video (by its name) was cut from, for --distinct-groups.
    video_key: what identifies a video within its class, however its file is spelled.
    class_in_name: the class that a file name tells where no folder does.
    labels: from the root to the class of each video, by its stem, where files tell the classes;
        the videos may then lie in any folder.
    spelled: how the name of a class is written that no list has.
    per_class: the most videos taken of a class where no list says which.
    """

    name: str
    layout: str
    published: bool
    group: Callable[[str], str]
    video_key: Callable[[str], str] = str
    class_in_name: Callable[[str], str | None] = lambda name: None
    labels: Callable[[Path], Mapping[str, str]] | None = None
    spelled: Callable[[str], str] = str
    per_class: int | None = None

    @cached_property
    def classes(self) -> Mapping[str, str]:
        """The published class names by `class_key`; empty for a person's own folder."""
        if not self.published:
            return {}
        splits = class_splits(self.name)
        return {class_key(name): name for names in splits.values() for name in names}

    def class_name(self, folder: str) -> str:
        """The name of the class in a folder, or in a line of a list."""
        known = self.classes.get(class_key(folder))
        return known if known is not None else self.spelled(normal(folder))


def class_key(name: str) -> str:
    """The same for every spelling of a class: ``Hurling_(sport)`` -> ``hurlingsport``."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFC", name).casefold()) or name


def normal(name: str) -> str:
    """One spelling for names that look the same, which file systems store differently."""
    return unicodedata.normalize("NFC", name)
