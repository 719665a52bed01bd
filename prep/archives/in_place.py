"""The videos of archives as sources of a prep: found, decoded as they pass, kept until used."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prep.archives.crew import Crew
from prep.archives.listing import Listing, read_listing, write_listing
from prep.archives.passing import ArchivePass, Fingerprint
from prep.archives.waiting import PLACE, remove_others, remove_waiting, waiting_path, waiting_source
from prep.cluster import OnProgress
from prep.progress import megabytes
from prep.resume import held_sources
from prep.shard import PrepSettings, ShardJob
from prep.sources import Archives, Sources
from tasd.datasets.doubles import below_replacement
from tasd.datasets.members import ArchiveFile, Member, MemberTree
from tasd.errors import UserError
from tasd.foreign import clean
from tasd.progress import counted

NO_ARCHIVES = Archives((), lambda path, archive: False, 0, lambda members: Sources(()))


@dataclass
class Hooks:
    """Calls on the way: at the start of decoding, as videos are finished, with lines to say."""

    on_start: Callable[[int, int], None]
    on_progress: OnProgress
    say: Callable[[str], None]


class InPlace:
    """The archives of one prep, where it has any. The store must be locked.

    started: True once ``on_start`` has been called.
    """

    def __init__(
        self, sources: Sources, settings: PrepSettings, *, workers: int, hooks: Hooks
    ) -> None:
        self._sources, self._settings = sources, settings
        self._workers, self._hooks = workers, hooks
        self._archives = sources.archives or NO_ARCHIVES
        self._done: set[Path] = set()
        self._listings: dict[str, Listing] = {}
        self._jobs: dict[int, ShardJob] = {}
        self._needed: Counter[Path] = Counter()
        self.started = False
        remove_others(settings.store, settings.waiting)

    def sources(self) -> Sources:
        """Find the videos: read archives that are new or have changed. Raises `UserError`."""
        if not self._archives.found:
            return self._sources
        folder = self._settings.store / PLACE
        for archive in self._archives.found:
            if listing := read_listing(folder, archive):
                self._listings[archive.path] = listing
        new = [a for a in self._archives.found if a.path not in self._listings]
        if new:
            known = held_sources(self._settings)
            self._pass(new, lambda archive: self._archives.rule(archive.path), known)
        sources = self._chosen()
        unread = [v.member for v in sources.videos if v.member and not v.member.sha256]
        if unread:
            self._read_members(unread, held_sources(self._settings))
            sources = self._chosen()
        return sources

    def fetch(self, jobs: Sequence[ShardJob]) -> None:
        """Have the frames of all members of the jobs wait. Raises `UserError`."""
        self._jobs = {job.number: job for job in jobs}
        members = {p: m for job in jobs for p, m in self._members(job)}
        self._needed = Counter(path for job in jobs for path, _ in self._members(job))
        limits = self._settings.limits
        absent = [
            member
            for path, member in members.items()
            if path not in self._done and waiting_source(path, limits) is None
        ]
        if absent:
            self._read_members(absent)

    def release(self, shard: int) -> None:
        """Remove the frames of a shard that is written; hard links may share them."""
        for path, _ in self._members(self._jobs[shard]):
            self._needed[path] -= 1
            if not self._needed[path]:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all that waits."""
        remove_waiting(self._settings.store)

    def _members(self, job: ShardJob) -> Iterator[tuple[Path, Member]]:
        """Yield the place of the frames of each member of a job, and the member."""
        for video in job.videos:
            if video.member is not None:
                yield waiting_path(self._settings.waiting, video.member), video.member

    def _chosen(self) -> Sources:
        tree = MemberTree({part for archive in self._archives.found for part in archive.parts})
        listings = [self._listings[archive.path] for archive in self._archives.found]
        # The last counts where two have the same path; a copy for a broken file counts before it.
        for listing in sorted(listings, key=lambda one: below_replacement(one.archive.path)):
            for path, member in listing.files.items():
                tree.add(path, member)
        problems = [problem for listing in listings for problem in listing.problems]
        try:
            sources = self._archives.choose(tree)
        except UserError as error:
            first = [f"; {clean(p.path)}: {p.reason}" for p in problems[:1]]
            raise UserError(f"{error}{''.join(first)}") from None
        return replace(sources, problems=(*sources.problems, *problems))

    def _read_members(
        self, members: Sequence[Member], known: frozenset[Fingerprint] = frozenset()
    ) -> None:
        """Read these members in a pass over their archives."""
        wanted: dict[str, set[int]] = {}
        for member in members:
            wanted.setdefault(member.archive.path, set()).add(member.number)
        archives = [a for a in self._archives.found if a.path in wanted]
        self._pass(
            archives,
            lambda archive: lambda path, number: number in wanted[archive.path],
            known,
            expected=len(members),
        )

    def _pass(
        self,
        archives: Sequence[ArchiveFile],
        rule: Callable[[ArchiveFile], Callable[[str, int], bool]],
        known: frozenset[Fingerprint],
        expected: int | None = None,
    ) -> None:
        """Read archives one after another, and keep the list of each that was read to its end."""
        size = sum(archive.size_bytes for archive in archives)
        self._hooks.say(f"{counted(len(archives), 'archive')} to read in place, {megabytes(size)}")
        if not self.started:
            self.started = True
            self._hooks.on_start(self._archives.expected if expected is None else expected, size)
        progress, say = self._hooks.on_progress, self._hooks.say
        with Crew(self._settings, self._workers, on_progress=progress, say=say) as crew:
            for archive in archives:
                one = ArchivePass(self._settings, crew, rule(archive), progress, known, self._done)
                listing, final = one.read(archive)
                self._listings[archive.path] = self._with_earlier(listing)
                if final:
                    write_listing(self._settings.store / PLACE, self._listings[archive.path])

    def _with_earlier(self, listing: Listing) -> Listing:
        """Add what an earlier pass read of the same archive."""
        earlier = self._listings.get(listing.archive.path)
        if earlier is None:
            return listing
        files = {
            path: earlier.files[path] if not member.sha256 and path in earlier.files else member
            for path, member in listing.files.items()
        }
        return Listing(listing.archive, files, listing.problems)
