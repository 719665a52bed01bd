"""The videos to prepare: those found below the root, checked against a list, and their split."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prep.archives.find import find_archives, root_folder
from prep.archives.rars import check_programs
from prep.archives.wanted import Wanted, wanted_members
from prep.list_splits import SplitRule, split_by_lists
from tasd.datasets import (
    Dataset,
    Listed,
    Problem,
    Scan,
    Selection,
    SourceVideo,
    read_list,
    scan,
    select,
)
from tasd.datasets.doubles import below_replacement
from tasd.datasets.fetch import cached_cmn_lists
from tasd.datasets.folder import read_split, split_classes
from tasd.datasets.members import ArchiveFile, MemberTree
from tasd.datasets.splits import SPLIT_NAMES, other_classes
from tasd.errors import Mistakes, UserError
from tasd.foreign import clean
from tasd.progress import counted


@dataclass(frozen=True)
class Archives:
    """Archives whose files belong to the videos of a prep, before they are read.

    wanted: the members to decode as they pass. expected: their number, as far as a list tells.
    choose: from the files of all archives to the videos.
    """

    found: tuple[ArchiveFile, ...]
    wanted: Wanted
    expected: int
    choose: Callable[[MemberTree], "Sources"]

    def rule(self, archive: str) -> Callable[[str, int], bool]:
        """Return the rule for the members of one archive, by path and number."""
        return lambda path, number: self.wanted(path, archive)


@dataclass(frozen=True)
class Sources:
    """The videos of a prep.

    videos: those that were found. missing: ids that a list names and that were not found.
    problems: files and folders that could not be taken as videos. split_rule: splits the classes
    of a data set without published splits; None for the others. archives: those to be read
    first; then nothing else is known.
    """

    videos: tuple[SourceVideo, ...]
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    split_rule: SplitRule | None = None
    archives: Archives | None = None


def check_places(root: Path, files: Sequence[Path]) -> None:
    """Raise `UserError` for a root that is no folder and for files that are not there."""
    with Mistakes() as mistakes:
        if not root.is_dir():
            mistakes.add(UserError(f"--root {root} is not a folder; give the folder of the videos"))
        for path in files:
            if not path.exists():
                mistakes.add(UserError(f"{path} does not exist; correct its name"))


def find_sources(
    dataset: Dataset,
    root: Path,
    lists: Sequence[Path],
    *,
    split_rule: SplitRule | None,
    say: Callable[[str], None],
    follow_links: bool = False,
    labels: Path | None = None,
) -> Sources:
    """Find the videos of a data set below the root. Raises `UserError`.

    labels: the names of labels that are numbers in the lists.
    """
    if labels and not lists:
        raise UserError(f"--labels {labels} has no effect without --list; leave it out")
    archives = find_archives(root, follow_links=follow_links)
    check_programs(archives, root)
    by_list = _listed(dataset, root_folder(root), lists, labels, say)
    if dataset.lists and split_rule is None:
        split_rule = split_by_lists(dataset, by_list or {}, say)
    listed = None if by_list is None else [line for found in by_list.values() for line in found]
    search = _Search(dataset, root, tuple(lists), listed, split_rule, say, follow_links)
    if archives and (wanted := search.wanted(archives)):
        expected = 0 if listed is None else len(listed)
        return Sources((), archives=Archives(archives, wanted, expected, search.sources))
    return search.sources(MemberTree({part for a in archives for part in a.parts}))


@dataclass(frozen=True)
class _Search:
    """A search for the videos of a data set, among the files below a root and in archives."""

    dataset: Dataset
    root: Path
    lists: tuple[Path, ...]
    listed: Sequence[Listed] | None
    split_rule: SplitRule | None
    say: Callable[[str], None]
    follow_links: bool

    def wanted(self, archives: Sequence[ArchiveFile]) -> Wanted | None:
        """Return the rule for members of archives; None where no archive need be read."""
        base = root_folder(self.root)
        files = self._files_alone(archives)
        whole = self.listed is not None and files is not None and not files.missing
        if whole and not any(below_replacement(archive.path) for archive in archives):
            there = counted(len(archives), "archive")
            self.say(f"{there} not read: every video of the list is there as a file")
            return None
        return wanted_members(self.dataset, base, self.listed, files)

    def sources(self, members: MemberTree) -> Sources:
        """Return the videos, those of archives among them. Raises `UserError`."""
        dataset, root = self.dataset, self.root
        found = self._scan(members)
        selection = select(dataset, found, self.listed)
        if not selection.videos:
            raise UserError(_none_found(dataset, root, self.lists, selection))
        there = {video.class_name for video in selection.videos}
        if dataset.published and not there & _classes(dataset):
            if not there & other_classes(dataset.name):
                raise UserError(_no_class(dataset, root, there))
            self.say(
                f"NO CLASS of the splits of {dataset.name} is below {root}, only other classes of "
                "it: nothing can be trained on this store or tested on it"
            )
        if found.followed:
            links = counted(len(found.followed), "link")
            self.say(f"{links} out of {root} followed, the first {clean(found.followed[0])}")
        return Sources(
            videos=selection.videos,
            missing=tuple(video.id for video in selection.missing),
            problems=(*found.problems, *selection.problems),
            split_rule=self.split_rule,
        )

    def _scan(self, members: MemberTree) -> Scan:
        base = root_folder(self.root)
        return scan(
            self.dataset,
            base,
            follow_links=self.follow_links,
            members=members,
            on_disk=base == self.root,
        )

    def _files_alone(self, archives: Sequence[ArchiveFile]) -> Selection | None:
        """Choose among the files beside archives; None where there are none."""
        try:
            found = self._scan(MemberTree({part for a in archives for part in a.parts}))
        except UserError:
            return None
        return select(self.dataset, found, self.listed)


def _classes(dataset: Dataset) -> set[str]:
    return set(dataset.classes.values())


def _no_class(dataset: Dataset, root: Path, classes: Collection[str]) -> str:
    there, known = sorted(classes), sorted(_classes(dataset))
    return (
        f"no class of {dataset.name} is below {root}: there are {clean(', '.join(there[:3]))}"
        f"{' ...' if len(there) > 3 else ''}, and expected are {', '.join(known[:3])} ... as "
        f"{dataset.layout}; correct --root, or for classes of your own: tasd prep folder"
    )


def _none_found(dataset: Dataset, root: Path, lists: Sequence[Path], selection: Selection) -> str:
    if selection.missing:
        named = ", ".join(map(str, lists)) or "CMN's lists"
        return f"none of the videos of {named} is below {root}; is it the right folder?"
    reason = selection.problems[0].reason
    return (
        f"below {root} there is nothing but {reason}; {dataset.name} has the layout "
        f"{dataset.layout}"
    )


def make_split_rule(
    dataset: Dataset, *, counts: Mapping[str, int | None], file: Path | None, seed: int
) -> SplitRule | None:
    """Make the rule that splits the classes; None for published splits. Raises `UserError`."""
    given = [f"--{split}-classes" for split in SPLIT_NAMES if counts[split] is not None]
    given += ["--split-file"] if file else []
    if dataset.published:
        if given:
            raise UserError(
                f"{given[0]} is for prep folder, and the split of {dataset.name} is published; "
                "leave it out"
            )
        return None
    if dataset.lists and not file:
        if given:
            raise UserError(
                f"{given[0]} is for prep folder, and the lists of {dataset.name} split its "
                "classes; leave it out"
            )
        return None
    if file and len(given) > 1:
        raise UserError(f"--split-file and {given[0]} both split the classes; give one")
    if file:
        return lambda names, kept: read_split(file, names)
    return lambda names, kept: split_classes(names, seed=seed, counts=counts, kept=kept)


def _listed(
    dataset: Dataset,
    root: Path,
    lists: Sequence[Path],
    labels: Path | None,
    say: Callable[[str], None],
) -> dict[Path, tuple[Listed, ...]] | None:
    """Read the videos that lists name; Kinetics uses CMN's lists where they were fetched."""
    if not lists and dataset.name == "kinetics":
        lists = list(cached_cmn_lists().values())
        if len(lists) < len(SPLIT_NAMES):
            say(
                "NOT CMN's lists: up to 100 videos a class are taken, in the order of their names. "
                "For numbers to compare with papers: tasd splits fetch kinetics, or --list"
            )
            return None
        say("the videos of CMN's lists, as fetched")
    if not lists:
        return None
    return {path: read_list(dataset, path, root=root, labels=labels, say=say) for path in lists}
