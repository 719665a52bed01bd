"""The members of an archive and of the archives within it, each with its place on the disk."""

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prep.archives.faults import ArchiveFault, MemberFault
from prep.archives.find import is_archive
from prep.archives.members import RawMember, Reader, unpacked_path
from prep.archives.rars import RAR, WAY_OUT, rar_members
from prep.archives.spool import Content
from prep.archives.tars import tar_members
from prep.archives.zips import ZIP, zip_members
from tasd.datasets import Problem
from tasd.datasets.base import ProblemKind
from tasd.datasets.content import file_head

DEEPEST = 2  # archives in one another: HMDB51 is an archive of archives
LEFT_OUT: dict[str, tuple[ProblemKind, str]] = {
    "link": ("link", "a link in an archive"),
    "device": ("unreadable", "a pipe or device, not a file"),
    "sparse": ("unreadable", "a file with holes in an archive: unpack that archive"),
    "encrypted": ("unreadable", "encrypted"),
}


@dataclass
class Found:
    """A file of an archive: its path once unpacked, its number, and the way to its content.

    target: the path of the file that a hard link repeats.
    """

    path: str
    number: int
    raw: RawMember
    target: str = ""


@dataclass
class Walk:
    """A walk through one archive and those within it, which notes what must be left out.

    folder: the one in which the archive lies. place: a folder for archives within it.
    program: the one that reads RAR. unread_rar: True once it has failed.
    """

    name: str
    folder: str
    place: Path
    program: str = ""
    number: int = -1
    unread_rar: bool = False
    problems: dict[tuple[ProblemKind, str], list[str]] = field(default_factory=dict)

    def files(self, paths: Sequence[Path]) -> Generator[Found, None, None]:
        """Yield the files and hard links in their order. Raises `ArchiveFault`."""
        yield from self._files(paths, self.folder, depth=1)

    def note(self, kind: ProblemKind, reason: str, name: str) -> None:
        """Remember a member that is left out; those of one reason are told together."""
        self.problems.setdefault((kind, reason), []).append(name)

    def told(self) -> list[Problem]:
        """Return one problem for each reason."""
        return [
            Problem(
                kind, f"{self.name}: {names[0]}", f"{len(names)} left out: {reason}", len(names)
            )
            for (kind, reason), names in sorted(self.problems.items())
        ]

    def _files(
        self, paths: Sequence[Path], folder: str, *, depth: int
    ) -> Generator[Found, None, None]:
        try:
            with contextlib.closing(_opened(paths, self.program)) as members:
                for raw in members:
                    if raw.kind != "folder":
                        yield from self._file(raw, folder, depth)
        except ArchiveFault:
            self.unread_rar |= _ending(paths) == ".rar"
            raise

    def _file(self, raw: RawMember, folder: str, depth: int) -> Generator[Found, None, None]:
        self.number += 1
        path = unpacked_path(folder, raw.name)
        if not path:
            self.note("name", "its name leads out of the folder", raw.name)
        elif raw.kind in LEFT_OUT:
            self.note(*LEFT_OUT[raw.kind], raw.name)
        elif raw.kind == "file" and depth < DEEPEST and is_archive(path.rpartition("/")[2]):
            yield from self._inside(raw, path, depth)
        else:
            yield Found(path, self.number, raw, unpacked_path(folder, raw.target))

    def _inside(self, raw: RawMember, path: str, depth: int) -> Generator[Found, None, None]:
        """Yield the files of an archive within an archive, which gets a file for a moment."""
        name = path.rpartition("/")[2]
        target = self.place / f"archive-{depth}{''.join(Path(name.lower()).suffixes[-2:])}"
        try:
            Content(raw).copy(target)
            yield from self._files([target], path.rpartition("/")[0], depth=depth + 1)
        except MemberFault as fault:
            self.note("unreadable", str(fault), path)
        except ArchiveFault as fault:
            if fault.passing or not target.exists():
                raise  # of the outer archive
            self.note("unreadable", str(fault), path)
        finally:
            target.unlink(missing_ok=True)


def _opened(paths: Sequence[Path], program: str) -> Reader:
    ending, head = _ending(paths), file_head(paths[0])
    if head.startswith(RAR) or (ending == ".rar" and not head.startswith(ZIP)):
        if not program:
            raise ArchiveFault(WAY_OUT)
        return rar_members(paths[0], program)
    if head.startswith(ZIP) or ending == ".zip":
        return zip_members(paths[0])
    return tar_members(paths)


def _ending(paths: Sequence[Path]) -> str:
    return paths[0].suffix.lower()
