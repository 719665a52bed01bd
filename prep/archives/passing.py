"""One pass over an archive: list all of its files, and decode those that are wanted."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from prep.archives.crew import Crew, Task
from prep.archives.faults import ArchiveFault, MemberFault
from prep.archives.listing import Listing
from prep.archives.rars import rar_programs
from prep.archives.readers import Found, Walk
from prep.archives.spool import Content
from prep.archives.waiting import spool_folder, waiting_path, waiting_source
from prep.shard import PrepSettings
from tasd.datasets import Problem
from tasd.datasets.base import VIDEO_SUFFIXES
from tasd.datasets.layout import suffix
from tasd.datasets.lists import stem
from tasd.datasets.members import VIDEO_CONTENT, ArchiveFile, Member, content_of

LONGEST_SUFFIX = 16
TWICE = "twice in the archive: the last counts, as when it is unpacked"
# Stem, size and sha256 of a source.
Fingerprint = tuple[str, int, str]


@dataclass
class ArchivePass:
    """A pass over archives with one rule for the members that are wanted, by path and number.

    known: sources of the store's shards, which need no decoding. done: where the frames of this
    run wait. on_progress: called where the frames of a wanted member are there already.
    """

    settings: PrepSettings
    crew: Crew
    wanted: Callable[[str, int], bool]
    on_progress: Callable[[int, int], None]
    known: frozenset[Fingerprint] = frozenset()
    done: set[Path] = field(default_factory=set)

    def read(self, archive: ArchiveFile) -> tuple[Listing, bool]:
        """Read an archive; the second value is False where another try may find more.

        A RAR archive that one program cannot read is given to the next.
        """
        for program in rar_programs() or [""]:
            listing, fault, again = self._read(archive, program)
            self.crew.finish()  # before the same numbers come again
            if not again:
                break
        if fault is not None:
            reason = f"{fault}; {len(listing.files):,} files of it were read"
            listing.problems.append(Problem("unreadable", archive.path, reason))
        return listing, fault is None or not fault.passing

    def _read(
        self, archive: ArchiveFile, program: str
    ) -> tuple[Listing, ArchiveFault | None, bool]:
        """Read it by one program; the last value is True where the next may do better."""
        listing = Listing(archive)
        place = spool_folder(self.settings.store)
        walk = Walk(archive.path, archive.path.rpartition("/")[0], place, program)
        place.mkdir(parents=True, exist_ok=True)
        fault: ArchiveFault | None = None
        paths = [self.settings.root / part for part in archive.parts]
        try:
            with contextlib.closing(walk.files(paths)) as files:
                for found in files:
                    self._take(found, walk, listing)
        except ArchiveFault as error:
            fault = error
        listing.problems = walk.told()
        return listing, fault, walk.unread_rar

    def _take(self, found: Found, walk: Walk, listing: Listing) -> None:
        try:
            member = self._member(found, listing)
        except MemberFault as error:
            walk.note("unreadable", str(error), found.raw.name)
            return
        if member is None:
            walk.note("link", "a link to nothing that is before it in the archive", found.raw.name)
            return
        if found.path in listing.files:
            walk.note("duplicate", TWICE, found.raw.name)
        listing.files[found.path] = member

    def _member(self, found: Found, listing: Listing) -> Member | None:
        """List a file, and have it decoded where it is wanted; None for a link to nothing."""
        raw = found.raw
        if raw.kind == "hard link":
            return listing.files.get(found.target)
        member = Member(listing.archive, found.number, raw.size)
        content = Content(raw)
        if suffix(found.path) not in VIDEO_SUFFIXES:
            member = replace(member, content=content_of(content.head()))
            if member.content != VIDEO_CONTENT:
                return member
        if not self.wanted(found.path, found.number):
            return member
        return self._decoded(found.path, member, content)

    def _decoded(self, path: str, member: Member, content: Content) -> Member:
        target = waiting_path(self.settings.waiting, member)
        if source := waiting_source(target, self.settings.limits):
            self.on_progress(1, source.size_bytes)
            self.done.add(target)
            return replace(member, size_bytes=source.size_bytes, sha256=source.sha256)
        ending = suffix(path)
        name = f"{member.number}{ending if len(ending) <= LONGEST_SUFFIX else ''}"
        copy = content.copy(spool_folder(self.settings.store) / name)
        if (stem(path.rpartition("/")[2]), copy.size_bytes, copy.sha256) in self.known:
            copy.path.unlink()
            self.on_progress(1, copy.size_bytes)
        else:
            self.crew.take(Task(copy, target))
            self.done.add(target)
        return replace(member, size_bytes=copy.size_bytes, sha256=copy.sha256)
