"""The split of the classes by the lists of videos that a person brings, one for each split."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prep.plan import Splits
from tasd.datasets import Dataset, Listed
from tasd.datasets.base import class_key
from tasd.datasets.splits import SPLIT_NAMES, class_splits, published
from tasd.errors import UserError

# From the names of all classes, and the splits of an earlier prep, to the splits of this prep.
SplitRule = Callable[[Sequence[str], Splits | None], Splits]
# ``val`` of vallist03.txt, ssv2_val.csv, validation.txt.
_SPLIT = re.compile(r"(?<![a-z])(train|val|test)", re.IGNORECASE)


def split_by_lists(
    dataset: Dataset, lists: Mapping[Path, Sequence[Listed]], say: Callable[[str], None]
) -> SplitRule:
    """Make the rule that splits classes as lists do, by their names. Raises `UserError`."""
    splits: dict[str, dict[str, Path]] = {split: {} for split in SPLIT_NAMES}
    for path, lines in lists.items():
        splits[_split(path)].update({line.class_name: path for line in lines})
    absent = [split for split in SPLIT_NAMES if not splits[split]]
    if absent:
        raise UserError(
            f"{dataset.name} needs a list of the videos of {' and of '.join(absent)}; give three "
            f"with --list: {dataset.lists}"
        )
    _check_disjoint(splits)
    say(_told(dataset, splits))

    def rule(names: Sequence[str], kept: Splits | None) -> Splits:
        return {split: tuple(sorted(splits[split].keys() & set(names))) for split in SPLIT_NAMES}

    return rule


def _split(path: Path) -> str:
    found = {match[1].lower() for match in _SPLIT.finditer(path.stem)}
    if len(found) != 1:
        raise UserError(
            f"the name of the list {path} tells no split; call it as in trainlist.txt, "
            "vallist.txt, testlist.txt"
        )
    return found.pop()


def _check_disjoint(splits: Mapping[str, Mapping[str, Path]]) -> None:
    seen: dict[str, Path] = {}
    for classes in splits.values():
        for name, path in classes.items():
            if name in seen:
                raise UserError(
                    f"class {name!r} is in {seen[name]} and in {path}; the splits of few-shot "
                    "learning share no class: are they lists of another task?"
                )
        seen.update(classes)


def _told(dataset: Dataset, splits: Mapping[str, Mapping[str, Path]]) -> str:
    counts = "/".join(str(len(splits[split])) for split in SPLIT_NAMES)
    for name in published():
        known = class_splits(name)
        if name.startswith(dataset.name) and all(
            {class_key(c) for c in splits[split]} == {class_key(c) for c in known[split]}
            for split in SPLIT_NAMES
        ):
            return f"the classes are those of {name}: {counts} for train, val and test"
    return f"the lists split the classes: {counts} for train, val and test"
