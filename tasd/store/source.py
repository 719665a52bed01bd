"""What training and evaluation read of a collection of videos: a store, or a feature file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class VideoSource(Protocol):
    """Videos by class and split: `tasd.store.Store` or `tasd.features.FeatureStore`."""

    @property
    def path(self) -> Path:
        """The folder or file."""

    @property
    def dataset(self) -> str:
        """The data set that it says it holds."""

    @property
    def hash(self) -> str:
        """A sha256 that names the content."""

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """The class names of each split."""

    @property
    def groups(self) -> Mapping[str, str] | None:
        """The source that each video was cut from; None where that is not known."""

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The classes that a frozen network behind it has seen."""

    def classes(self, *splits: str) -> dict[str, tuple[str, ...]]:
        """Class names to video names, of these splits or of all. Raises `UserError`."""

    def only(self, *splits: str) -> "VideoSource":
        """The same collection, refusing to give anything of another split."""
