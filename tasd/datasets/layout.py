"""Search for the class folders of a data set, which downloads put at different depths."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tasd.datasets.base import VIDEO_SUFFIXES, Dataset, Problem, ProblemKind, class_key
from tasd.datasets.content import file_head, looks_like_video, not_a_video
from tasd.datasets.members import VIDEO_CONTENT, Member, MemberEntry, MemberTree

UNFINISHED = frozenset(
    f".{name}"
    for name in (
        *("part", "crdownload", "download", "partial", "tmp", "aria2", "ytdl"),
        *("!qb", "!ut", "bc!", "opdownload"),
    )
)
# Folders between the root and the classes: root/kinetics400/train_256/<class>.
DEEPEST = 3
IN_BOTH = "in an archive, where a file of the same name lies beside it"
_PARENT = re.compile(
    r"(train|val|valid|validate|validation|test|part|replacement)([_-].*)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Entry:
    """One file or folder; ``path`` lies below the root, with forward slashes."""

    path: str
    found: os.DirEntry[str] | MemberEntry

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.found.name

    @property
    def is_video(self) -> bool:
        """True where it has the name of a video file and is no folder."""
        return suffix(self.name) in VIDEO_SUFFIXES and not self.is_folder

    @property
    def is_other_video(self) -> bool:
        """True where its content is a video under another name; reads the beginning of the file."""
        if self.is_video or suffix(self.name) in UNFINISHED or self.is_folder:
            return False
        if self.member is not None:
            return self.member.content == VIDEO_CONTENT
        return self.found.is_file() and looks_like_video(file_head(Path(self.found.path)))

    @property
    def member(self) -> Member | None:
        """The member of an archive; None for a file on the disk."""
        return self.found.member if isinstance(self.found, MemberEntry) else None

    @property
    def is_there(self) -> bool:
        """True for a file that can be opened; False for a pipe, or a link to nothing."""
        return self.member is not None or os.path.isfile(self.found.path)

    def not_a_video(self) -> tuple[str, str]:
        """Return code and noun of the content of a file that is no video."""
        if self.member is not None:
            code, _, noun = self.member.content.partition("|")
            return code, noun
        return not_a_video(file_head(Path(self.found.path))) or ("", "of unknown content")

    @property
    def is_folder(self) -> bool:
        """True for a folder or a link to one; False for a link to itself."""
        try:
            return self.found.is_dir()
        except OSError:
            return False


@dataclass
class Folders:
    """Lists folders below a root, and collects problems with what could not be listed.

    members: files within archives, beside those on the disk. on_disk: False to list them alone.
    followed: links out of the root. left_out: paths by kind and reason.
    """

    root: Path
    follow_links: bool = False
    members: MemberTree = field(default_factory=MemberTree)
    on_disk: bool = True
    problems: list[Problem] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    left_out: dict[tuple[ProblemKind, str], set[str]] = field(default_factory=dict)

    @cached_property
    def _real(self) -> str:
        return os.path.realpath(self.root)

    def list(self, path: str) -> list[Entry]:
        """Return the entries of a folder by name, without hidden ones and names not in UTF-8."""
        prefix = f"{path}/" if path else ""
        found: dict[str, os.DirEntry[str] | MemberEntry] = {}
        found |= {entry.name: entry for entry in self.members.entries(path)}
        for entry in self._on_disk(path):
            if prefix + entry.name in self.members.archives:
                continue
            if entry.name in found and entry.is_file():
                self.leave_out("duplicate", prefix + entry.name, IN_BOTH)
            found[entry.name] = entry
        listed = [Entry(prefix + name, found[name]) for name in sorted(found)]
        shown = [entry for entry in listed if self._is_text(entry) and not self._is_hidden(entry)]
        return [entry for entry in shown if self._is_inside(entry)]

    def _on_disk(self, path: str) -> Sequence[os.DirEntry[str]]:
        if not self.on_disk:
            return ()
        try:
            with os.scandir(self.root / path) as entries:
                return list(entries)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError | NotADirectoryError)
            if not (gone and path and self.members.holds(path)):
                reason = error.strerror or str(error)
                self.problems.append(Problem("unreadable", path or ".", reason))
            return ()

    def leave_out(self, kind: ProblemKind, path: str, reason: str) -> None:
        """Name a file once with all others that are left out for the same reason."""
        self.left_out.setdefault((kind, reason), set()).add(path)

    def groups(self) -> Sequence[Problem]:
        """Return one problem for each reason to leave files out, with their number."""
        return [
            Problem(kind, min(paths), f"{len(paths)} left out: {reason}", len(paths))
            for (kind, reason), paths in sorted(self.left_out.items())
        ]

    def _is_hidden(self, entry: Entry) -> bool:
        if entry.name.startswith("."):
            self.leave_out("hidden", entry.path, "hidden files and unfinished downloads")
            return True
        return False

    def _is_inside(self, entry: Entry) -> bool:
        """True where an entry is no link out of the root, or such links are followed."""
        if not entry.found.is_symlink():
            return True
        real = os.path.realpath(entry.found.path)
        if real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep):
            return True
        if not os.path.exists(real):
            return True  # a broken link has a message of its own
        if self.follow_links:
            if entry.path not in self.followed:
                self.followed.append(entry.path)
            return True
        reason = "links out of the root; --follow-links takes them"
        self.leave_out("link", entry.path, reason)
        return False

    def _is_text(self, entry: Entry) -> bool:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(entry.path).decode("utf-8", "backslashreplace")
            self.problems.append(Problem("name", shown, "its name is not UTF-8: rename it"))
            return False
        return True


@dataclass
class Layout:
    """Class folders of the splits, folders with other names, and videos outside folders."""

    known: list[Entry] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)
    loose: list[Entry] = field(default_factory=list)


def find_layout(dataset: Dataset, folders: Folders) -> Layout:
    """Find class folders below the root; the user's own lie directly in the root."""
    layout = Layout()
    deep = dataset.published or dataset.labels is not None
    _search(dataset, folders, layout, path="", depth=DEEPEST if deep else 0)
    return layout


def _search(dataset: Dataset, folders: Folders, layout: Layout, *, path: str, depth: int) -> None:
    entries = folders.list(path)
    layout.loose += [entry for entry in entries if not entry.is_folder]
    inside = [entry for entry in entries if entry.is_folder]
    known = [entry for entry in inside if class_key(entry.name) in dataset.classes]
    layout.known += known
    for entry in inside:
        if entry in known:
            continue
        # Beside known classes, only train/ and the like may hold more of them.
        if depth and is_parent(entry.name):
            _search(dataset, folders, layout, path=entry.path, depth=depth - 1)
        elif dataset.labels is None and (
            depth == 0 or known or any(below.is_video for below in folders.list(entry.path))
        ):
            layout.others.append(entry)
        elif depth:
            _search(dataset, folders, layout, path=entry.path, depth=depth - 1)


def is_parent(name: str) -> bool:
    """True for folders such as ``train_256``, which hold classes and are none."""
    return _PARENT.fullmatch(name) is not None


def suffix(name: str) -> str:
    """Return the suffix in lower case: ``.mp4`` for ``clip.MP4``."""
    return os.path.splitext(name)[1].lower()
