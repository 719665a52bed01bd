"""The user's own videos, ``<class>/<video>``, and the split of their classes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasd.datasets.base import Dataset, normal
from tasd.datasets.splits import SPLIT_NAMES, class_lines
from tasd.errors import UserError

FOLDER = Dataset(
    name="folder",
    layout="<class>/<video>.mp4, or <class>/<video>/*.jpg",
    published=False,
    group=str,
)

SHARES = {"train": 64, "val": 16, "test": 20}
# An episode needs two classes; results are usually compared on five.
LEAST, ENOUGH = 2, 5

Splits = dict[str, tuple[str, ...]]


def split_classes(
    names: Sequence[str],
    *,
    seed: int,
    counts: Mapping[str, int | None] | None = None,
    kept: Mapping[str, Sequence[str]] | None = None,
) -> Splits:
    """Split classes into train, val and test: the same for the same names and seed.

    counts: the number of classes of a split; splits without one share the rest by `SHARES`.
    kept: an earlier split; its classes stay where they are, so that a class that was
        trained on never becomes a test class when classes are added.

    Raises `UserError` where there are too few classes.
    """
    wanted = _counts(len(set(names)), {**dict.fromkeys(SPLIT_NAMES), **(counts or {})})
    splits = {
        split: [n for n in (kept or {}).get(split, ()) if n in names] for split in SPLIT_NAMES
    }
    placed = {name for members in splits.values() for name in members}
    for name in sorted(set(names) - placed, key=lambda name: _rank(seed, name)):
        split = max(SPLIT_NAMES, key=lambda split: wanted[split] - len(splits[split]))
        if len(splits[split]) < wanted[split]:
            splits[split].append(name)
    return {split: tuple(sorted(splits[split])) for split in SPLIT_NAMES}


def read_split(path: Path, names: Sequence[str]) -> Splits:
    """Read the user's own split: a JSON file, or a folder of train.txt, val.txt and test.txt.

    Raises `UserError` for a class without a folder, or in two splits.
    """
    listed = _listed(path)
    seen: dict[str, str] = {}
    for split in SPLIT_NAMES:
        for name in listed[split]:
            if name not in names:
                raise UserError(
                    f"class {name!r} of {split} in {path} has no folder below --root; "
                    f"there are: {_some(names)}"
                )
            if seen.setdefault(name, split) != split:
                raise UserError(
                    f"class {name!r} is in {seen[name]} and in {split} of {path}; the splits "
                    "of few-shot learning share no class: keep it in one"
                )
    return {split: tuple(sorted(set(listed[split]))) for split in SPLIT_NAMES}


def _listed(path: Path) -> dict[str, list[str]]:
    if path.is_dir():
        return {s: [normal(n) for n in class_lines(path / f"{s}.txt")] for s in SPLIT_NAMES}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {split: [normal(name) for name in content[split]] for split in SPLIT_NAMES}
    except OSError as error:
        raise UserError(f"the split {path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f'{path} is not a split: write {{"train": [...], "val": [...], "test": [...]}} with '
            "the names of class folders, or name a folder with train.txt, val.txt and test.txt"
        ) from None


def _counts(classes: int, given: Mapping[str, int | None]) -> dict[str, int]:
    fixed = {split: count for split, count in given.items() if count is not None}
    open_splits = [split for split in SPLIT_NAMES if split not in fixed]
    rest = classes - sum(fixed.values())
    if min([rest, *fixed.values()]) < 0 or rest < LEAST * len(open_splits):
        options = " ".join(f"--{split}-classes {count}" for split, count in fixed.items())
        noun = "class" if classes == 1 else "classes"
        raise UserError(
            f"the folder has {classes} {noun}, too few for train, val and test"
            f"{' with ' + options if options else ''}; each needs at least {LEAST} of its own: "
            f"add class folders{' or lower these numbers' if options else ''}; clips are labelled "
            "with few classes, and without training, by: tasd predict --support FOLDER CLIPS"
        )
    return {**fixed, **_shared(rest, open_splits)}


def _shared(rest: int, splits: Sequence[str]) -> dict[str, int]:
    """Share ``rest`` by `SHARES`, with five in each if possible; the first takes the remainder."""
    if not splits:
        return {}
    least = min(ENOUGH, rest // len(splits))
    whole = sum(SHARES[split] for split in splits)
    first, *others = splits
    counts = {split: max(least, rest * SHARES[split] // whole) for split in others}
    return {first: rest - sum(counts.values()), **counts}


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"class split/{seed}/{name}".encode()).digest()


def _some(names: Sequence[str], most: int = 10) -> str:
    shown = sorted(names)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
