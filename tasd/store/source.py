"""What training and evaluation read of a collection of videos: a store, or a feature file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self


class VideoSource(Protocol):
    """A collection of videos by class and split: `tasd.store.Store`, `tasd.features.FeatureStore`.

    path: where it lies. dataset: the data set that it says it holds. hash: names its content.
    splits: the class names of each split. groups: video -> the source that it was cut from, or
    None where that is not known. trained_on: the classes that a frozen network behind it has seen.
    """

    @property
    def path(self) -> Path: ...

    @property
    def dataset(self) -> str: ...

    @property
    def hash(self) -> str: ...

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def groups(self) -> Mapping[str, str] | None: ...

    @property
    def trained_on(self) -> tuple[str, ...]: ...

    def classes(self, *splits: str) -> dict[str, tuple[str, ...]]:
        """Class names to video names, of these splits or of all. Raises `UserError`."""
        ...

    def only(self, *splits: str) -> Self:
        """The same collection, refusing to give anything of another split."""
        ...
