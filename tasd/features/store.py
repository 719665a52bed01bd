"""The features of videos in memory."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from tasd.episodes import View
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.progress import counted


@dataclass(frozen=True)
class FeatureStore:
    """The features of a set of videos, in memory. Maps, if any, stay on disk.

    videos, video_class: name and class of each row. splits: class names of train, val and test.
    groups: the source of each video; None where the file does not name it.
    trained_on: the classes that the network was trained on. about: the attributes of the file.
    """

    path: Path
    features: Float[np.ndarray, "videos time channels"]
    maps: Float[np.ndarray, "videos time channels height width"] | None
    videos: tuple[str, ...]
    video_class: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, str] | None = None
    trained_on: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """The name of the data set; "features" where the file does not give it."""
        return str(self.about.get("dataset", "features"))

    def classes(self, *splits: str) -> dict[str, tuple[str, ...]]:
        """Return class names to video names, of these splits or of all; only classes with videos.

        Raises `UserError` for a split that the file does not have or was not opened for.
        """
        wanted = {name for split in splits for name in self._classes_of(split)}
        found: dict[str, list[str]] = {}
        for video, name in zip(self.videos, self.video_class, strict=True):
            if not splits or name in wanted:
                found.setdefault(name, []).append(video)
        return {name: tuple(sorted(found[name])) for name in sorted(found)}

    def only(self, *splits: str) -> "FeatureStore":
        """Return the features of these splits alone, without maps. Raises `UserError`."""
        kept = {split: self._classes_of(split) for split in splits}
        names = {name for classes in kept.values() for name in classes}
        rows = [row for row, name in enumerate(self.video_class) if name in names]
        part = replace(
            self,
            features=self.features[rows],
            maps=None,
            videos=tuple(self.videos[row] for row in rows),
            video_class=tuple(self.video_class[row] for row in rows),
            splits=kept,
        )
        vars(part)["hash"] = self.hash  # a part keeps the hash of the file
        return part

    def features_at(self, views: Sequence[View]) -> Float[np.ndarray, "views positions channels"]:
        """Return the features at the positions of each view; its crop and flip have no effect."""
        time = self.features.shape[1]
        return np.stack([self.features[self._row[view.video], view.frames(time)] for view in views])

    def rows(self, episodes: EpisodeTable) -> Int64[np.ndarray, " videos"]:
        """Return the row of each video of ``episodes``. Raises `UserError` where one is missing."""
        missing = [video for video in episodes.videos if video not in self._row]
        if missing:
            raise UserError(
                f"{episodes.source} names {counted(len(missing), 'video')} that {self.path} does "
                f"not have ({missing[0]!r} first); use episodes and features of the same videos"
            )
        rows = np.array([self._row[video] for video in episodes.videos])
        for video, row, label in zip(episodes.videos, rows, episodes.video_class, strict=True):
            if self.video_class[row] != episodes.classes[label]:
                raise UserError(
                    f"{episodes.source} puts {video!r} into class {episodes.classes[label]!r}, "
                    f"{self.path} into {self.video_class[row]!r}; correct one of them"
                )
        return rows

    def _classes_of(self, split: str) -> tuple[str, ...]:
        if split not in self.splits:
            raise UserError(
                f"{self.path} has no split {split!r}, or was not opened for it; it has: "
                f"{', '.join(self.splits)}"
            )
        return self.splits[split]

    def __enter__(self) -> "FeatureStore":
        return self

    def __exit__(self, *error: object) -> None:
        """Close nothing: no file is open."""

    @cached_property
    def _row(self) -> dict[str, int]:
        return {video: row for row, video in enumerate(self.videos)}

    @cached_property
    def hash(self) -> str:
        """A sha256 of names, classes and features."""
        digest = hashlib.sha256("\n".join(self.videos + self.video_class).encode())
        digest.update(np.ascontiguousarray(self.features).data)
        return digest.hexdigest()
