"""Members that are worth decoding as they pass, as far as paths and lists tell.

The exact choice needs all names, and is made after the pass by the rules for files. A member that
was passed over and is chosen then costs a second pass.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasd.datasets import Dataset, Listed, Selection
from tasd.datasets.base import FRAME_SUFFIXES, class_key, normal
from tasd.datasets.doubles import below_replacement
from tasd.datasets.layout import UNFINISHED, suffix
from tasd.datasets.lists import stem

# From the path of a member, and its archive's, to True where it should be decoded.
Wanted = Callable[[str, str], bool]


@dataclass
class ByList:
    """Members that lines of a list may mean: by name, and in class folders by class too."""

    dataset: Dataset
    lines: Sequence[Listed]
    _names: set[str] = field(init=False)
    _pairs: set[tuple[str, str]] = field(init=False)
    _classes: set[str] = field(init=False)

    def __post_init__(self) -> None:
        spelled = [(line, {line.name, self.dataset.video_key(line.name)}) for line in self.lines]
        self._names = {name for _, names in spelled for name in names}
        self._pairs = {(class_key(line.class_name), n) for line, names in spelled for n in names}
        self._classes = {*self.dataset.classes, *(place for place, _ in self._pairs)}

    def __call__(self, path: str) -> bool:
        """True where a line may mean the file of that path."""
        folder, _, file = path.rpartition("/")
        name = stem(normal(file))
        names = {name, self.dataset.video_key(name)}
        place = class_key(folder.rpartition("/")[2]) if folder else ""
        own = folder and not self.dataset.published and self.dataset.labels is None
        if own or place in self._classes:  # every folder of one's own videos is a class
            return any((place, name) in self._pairs for name in names)
        return not names.isdisjoint(self._names)


@dataclass
class ByClass:
    """Members in folders of classes, or with a class in their name; for a choice without a list."""

    dataset: Dataset

    def __call__(self, path: str) -> bool:
        """True where the file of that path may be of a class."""
        folder, _, file = path.rpartition("/")
        if not self.dataset.published:
            return bool(folder)
        known = self.dataset.classes
        named = self.dataset.class_in_name(stem(normal(file))) or ""
        return class_key(folder.rpartition("/")[2]) in known or class_key(named) in known


def wanted_members(
    dataset: Dataset,
    root: Path,
    listed: Iterable[Listed] | None,
    on_disk: Selection | None,
) -> Wanted | None:
    """Make the rule for the members that are worth decoding; None where no archive need be read.

    on_disk: the choice among the files that lie beside the archives; None where there are none.
    Such a file counts, and a member of the same path does not; but a replacement counts before it.
    """
    if listed is None:
        if dataset.per_class is not None:  # a few of each, of all names: known after the pass
            return lambda path, archive: False
        by_class = ByClass(dataset)
        return lambda path, archive: _may_be_video(path) and by_class(path) and _new(path, root)
    lines = list(listed)
    left = lines if on_disk is None else list(on_disk.missing)
    every, rest = ByList(dataset, lines), ByList(dataset, left)

    def wanted(path: str, archive: str) -> bool:
        if not _may_be_video(path):
            return False
        copy = below_replacement(path.rpartition("/")[0]) or below_replacement(archive)
        return (every if copy else rest)(path) and _new(path, root)

    return wanted


def _may_be_video(path: str) -> bool:
    hidden = path.startswith(".") or "/." in path
    return not hidden and suffix(path) not in FRAME_SUFFIXES | UNFINISHED


def _new(path: str, root: Path) -> bool:
    try:
        return not (root / path).exists()
    except (OSError, ValueError):  # no name for a file
        return False
