"""Files within archives, seen as if each archive were unpacked in the folder where it lies."""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tasd.datasets.content import looks_like_video, not_a_video

VIDEO_CONTENT = "video"


@dataclass(frozen=True)
class ArchiveFile:
    """An archive on the disk; ``path`` lies below the root and names the first of its parts.

    size_bytes: of all parts. mtime_ns: time of their last change, in nanoseconds.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    parts: tuple[str, ...] = ()

    @property
    def stamp(self) -> tuple[str, int, int]:
        """Path, size and time of change: another stamp means that it must be read again."""
        return self.path, self.size_bytes, self.mtime_ns


@dataclass(frozen=True, slots=True)
class Member:
    """A file within an archive.

    number: its place among the members; a hard link has that of the member with its content.
    content: of a file that has not the name of a video, see `content_of`. sha256: of its content;
    empty where nothing has read it.
    """

    archive: ArchiveFile
    number: int
    size_bytes: int
    content: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class MemberEntry:
    """A member, or a folder of members, in place of an `os.DirEntry`."""

    name: str
    path: str
    member: Member | None

    def is_dir(self) -> bool:
        """True for a folder."""
        return self.member is None

    def is_file(self) -> bool:
        """True for a member."""
        return self.member is not None

    def is_symlink(self) -> bool:
        """False: links in archives are left out."""
        return False

    def stat(self) -> os.stat_result:
        """Return kind and size."""
        if self.member is None:
            return os.stat_result((stat.S_IFDIR, *(0,) * 9))
        return os.stat_result((stat.S_IFREG, *(0,) * 5, self.member.size_bytes, 0, 0, 0))


class MemberTree:
    """The folders and files that archives hold, by their paths below the root.

    archives: the paths of the archives themselves, which are no files to be found.
    """

    def __init__(self, archives: Collection[str] = ()) -> None:
        self.archives = frozenset(archives)
        self._folders: dict[str, dict[str, Member | None]] = {"": {}}

    def add(self, path: str, member: Member) -> None:
        """Add a file in place of an earlier one; a folder of that name stays."""
        folder, _, name = path.rpartition("/")
        self._make(folder)
        if self._folders[folder].get(name, member) is not None:
            self._folders[folder][name] = member

    def get(self, path: str) -> Member | None:
        """Return the file of a path; None where there is none."""
        folder, _, name = path.rpartition("/")
        return self._folders.get(folder, {}).get(name)

    def holds(self, folder: str) -> bool:
        """True where there is such a folder."""
        return folder in self._folders

    def entries(self, folder: str) -> Iterator[MemberEntry]:
        """Yield what a folder holds."""
        prefix = f"{folder}/" if folder else ""
        for name, member in self._folders.get(folder, {}).items():
            yield MemberEntry(name, prefix + name, member)

    def _make(self, folder: str) -> None:
        made = [folder]
        while made[-1] not in self._folders:
            made.append(made[-1].rpartition("/")[0])
        for path in reversed(made[:-1]):
            parent, _, name = path.rpartition("/")
            self._folders[path] = {}
            self._folders[parent][name] = None  # in place of a file of the same name


def content_of(head: bytes) -> str:
    """Describe a file by its first bytes: `VIDEO_CONTENT`, or code and noun with a bar between."""
    if looks_like_video(head):
        return VIDEO_CONTENT
    return "|".join(not_a_video(head) or ("", "of unknown content"))
