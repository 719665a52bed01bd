"""The interface of a collection of videos: a store, or a feature file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

ALL = "all"  # in place of one split: the classes of all of them


@runtime_checkable
class VideoSource(Protocol):
    """Videos by class and split: `tasd.store.Store` or `tasd.features.FeatureStore`."""

    @property
    def path(self) -> Path:
        """The folder or file."""

    @property
    def dataset(self) -> str:
        """The name of its data set."""

    @property
    def hash(self) -> str:
        """A sha256 that names the content."""

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """The class names of each split."""

    @property
    def groups(self) -> Mapping[str, str] | None:
        """The source that each video was cut from; None where sources are not known."""

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The classes that the network behind cached features was trained on."""

    def classes(self, *splits: str) -> dict[str, tuple[str, ...]]:
        """Return class names to video names, of these splits or of all. Raises `UserError`."""

    def only(self, *splits: str) -> "VideoSource":
        """Return the same collection, which refuses anything of another split."""


def classes_of(source: VideoSource, split: str) -> dict[str, tuple[str, ...]]:
    """Return class names to video names, of one split or of `ALL`. Raises `UserError`."""
    return source.classes(*source.splits) if split == ALL else source.classes(split)


def split_of_each(source: VideoSource, split: str) -> dict[str, str]:
    """Return the split of each class of ``split``, for a feature file."""
    own = source.splits if split == ALL else {split: source.splits[split]}
    return {name: each for each, names in own.items() for name in names}
