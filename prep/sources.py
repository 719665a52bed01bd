"""The videos to prepare: those found below the root, checked against a list, and their split."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prep.list_splits import SplitRule, split_by_lists
from prep.progress import counted
from tasd.datasets import Dataset, Listed, Problem, Selection, SourceVideo, read_list, scan, select
from tasd.datasets.fetch import cached_cmn_lists
from tasd.datasets.folder import read_split, split_classes
from tasd.datasets.splits import SPLIT_NAMES, other_classes
from tasd.errors import Mistakes, UserError
from tasd.foreign import clean


@dataclass(frozen=True)
class Sources:
    """The videos of a prep.

    videos: those that were found. missing: ids that a list names and that were not found.
    problems: files and folders that could not be taken as videos. split_rule: splits the classes
    of a data set without published splits; None for the others.
    """

    videos: tuple[SourceVideo, ...]
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    split_rule: SplitRule | None = None


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
    by_list = _listed(dataset, root, lists, labels, say)
    if dataset.lists and split_rule is None:
        split_rule = split_by_lists(dataset, by_list or {}, say)
    listed = None if by_list is None else [line for found in by_list.values() for line in found]
    found = scan(dataset, root, follow_links=follow_links)
    selection = select(dataset, found, listed)
    if not selection.videos:
        raise UserError(_none_found(dataset, root, lists, selection))
    there = {video.class_name for video in selection.videos}
    if dataset.published and not there & _classes(dataset):
        if not there & other_classes(dataset.name):
            raise UserError(_no_class(dataset, root, there))
        say(
            f"NO CLASS of the splits of {dataset.name} is below {root}, only other classes of it: "
            "nothing can be trained on this store or tested on it"
        )
    if found.followed:
        links = counted(len(found.followed), "link")
        say(f"{links} out of {root} followed, the first {clean(found.followed[0])}")
    return Sources(
        videos=selection.videos,
        missing=tuple(video.id for video in selection.missing),
        problems=(*found.problems, *selection.problems),
        split_rule=split_rule,
    )


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
