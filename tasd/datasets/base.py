"""Data classes of data sets: the conventions of one, its videos, and problems with them."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from tasd.datasets.members import Member
from tasd.datasets.splits import class_splits

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "divx", "f4v", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv"),
        *("qt", "m2v", "m1v", "mpe", "m2t", "264", "h264", "h265", "hevc", "ivf", "obu", "mk3d"),
        *("3g2", "rm", "rmvb", "wtv", "dv", "nut", "nsv", "amv", "ogm", "mjpg", "mjpeg", "mod"),
    )
)
FRAME_SUFFIXES = frozenset({".jpg", ".jpeg"})

Kind = Literal["video", "frames"]
ProblemKind = Literal[
    "unreadable",
    "name",
    "duplicate",
    "no split",
    "no videos",
    "no class",
    "link",
    "other file",
    "hidden",
    "replaced",
]


@dataclass(frozen=True)
class SourceVideo:
    """One video of a data set.

    class_name: in the data set's own spelling. name: the stem of the file, or the whole file
    name where stems collide. path: below the root, with forward slashes.
    kind: a video file, or a folder of extracted JPEG frames (its size is theirs together).
    member: of a file within an archive; its path is the one that it has once unpacked.
    """

    class_name: str
    name: str
    path: str
    size_bytes: int
    kind: Kind = "video"
    member: Member | None = None

    @property
    def id(self) -> str:
        """``class/name``, unique in a data set."""
        return f"{self.class_name}/{self.name}"


@dataclass(frozen=True)
class Problem:
    """A file, folder or class that was left out or is doubtful; ``path`` lies below the root.

    count: files of the same kind, where ``path`` is the first of a group.
    """

    kind: ProblemKind
    path: str
    reason: str
    count: int = 1


@dataclass(frozen=True)
class Scan:
    """The videos found below a root.

    videos: sorted by class and name. loose: videos outside any class folder, with class "";
    a list may give their classes. problems: what was left out or is doubtful. followed: links
    that lead out of the root.
    """

    videos: tuple[SourceVideo, ...]
    loose: tuple[SourceVideo, ...] = ()
    problems: tuple[Problem, ...] = ()
    followed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """The conventions of one data set: functions of names, and of files of labels if it has any.

    name: on the command line. layout: the places of its files, for messages.
    published: its classes are split by lists in splits/; otherwise every folder is a class.
    group: from a video's name to the source that it was cut from, for --distinct-groups.
    video_key: from a video's name to a key that every spelling of the name shares.
    class_in_name: the class in a file's name, for files outside class folders.
    labels: from the root to the class of each video, by the stem of its file, where files hold
        the classes; the videos may then lie in any folder.
    spelled: the spelling of a class name that is in no split.
    per_class: the most videos taken of a class without a list.
    lists: where lists of videos are to be had, for a data set whose splits are those lists.
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
    lists: str = ""

    @cached_property
    def classes(self) -> Mapping[str, str]:
        """The published class names by `class_key`; empty for a user's own folder."""
        if not self.published:
            return {}
        splits = class_splits(self.name)
        return {class_key(name): name for names in splits.values() for name in names}

    def class_name(self, folder: str) -> str:
        """Return the class name for the name of a folder, or for a name in a list."""
        known = self.classes.get(class_key(folder))
        return known if known is not None else self.spelled(normal(folder))


def class_key(name: str) -> str:
    """Return the same key for every spelling of a class: ``Hurling_(sport)``: ``hurlingsport``."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFC", name).casefold()) or name


def normal(name: str) -> str:
    """Return one spelling (NFC) of names that look alike; file systems store several."""
    return unicodedata.normalize("NFC", name)
