"""Counts of the videos of a data set on the disk, class by class, without decoding."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasd.datasets.base import Dataset
from tasd.datasets.lists import Listed, Selection
from tasd.datasets.splits import class_splits


@dataclass(frozen=True)
class Presence:
    """Videos of one class on the disk, and in the list (None without a list)."""

    split: str
    class_name: str
    found: int
    listed: int | None


def presence(
    dataset: Dataset, selection: Selection, listed: Sequence[Listed] | None = None
) -> tuple[Presence, ...]:
    """Count the videos of every class of the splits, or of the list, then of other classes."""
    found = Counter(video.class_name for video in selection.videos)
    # Two lines may name one video, so missing lines are counted, not videos.
    missing = Counter(line.class_name for line in selection.missing)
    wanted = None if listed is None else Counter(line.class_name for line in listed)
    splits = class_splits(dataset.name) if dataset.published else {}
    names = [(split, name) for split, names in splits.items() for name in names]
    known = {name for _, name in names}
    others = sorted((set(found) | set(wanted or ())) - known)
    rows = names + [("", name) for name in others]
    if wanted is None:
        return tuple(Presence(split, name, found[name], None) for split, name in rows)
    return tuple(
        Presence(split, name, wanted[name] - missing[name], wanted[name])
        for split, name in rows
        if wanted[name]
    )


def totals(rows: Iterable[Presence]) -> dict[str, tuple[int, int]]:
    """Sum up the found and the listed videos of each split."""
    sums: dict[str, tuple[int, int]] = {}
    for row in rows:
        found, listed = sums.get(row.split, (0, 0))
        sums[row.split] = (found + row.found, listed + (row.listed or 0))
    return sums
