"""The examples of a support: which clips, their classes and their features."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool

from tasd.predict.scores import concatenated
from tasd.types import Features


@dataclass(frozen=True, eq=False)
class Examples:
    """Clips with their classes and features, which no matcher has prepared yet.

    clips: the path of each, or the name of a row of features. classes: the class of each.
    """

    clips: tuple[Path, ...]
    classes: tuple[str, ...]
    features: Features

    @property
    def by_class(self) -> dict[str, tuple[Path, ...]]:
        """The clips of each class."""
        found: dict[str, list[Path]] = {}
        for clip, name in zip(self.clips, self.classes, strict=True):
            found.setdefault(name, []).append(clip)
        return {name: tuple(clips) for name, clips in found.items()}

    def of(self, chosen: Bool[np.ndarray, " examples"]) -> "Examples | None":
        """Return the chosen examples; None for no example."""
        rows = [int(row) for row in np.flatnonzero(chosen)]
        if not rows:
            return None
        index = torch.tensor(rows, device=self.features.frames.device)
        maps = self.features.maps
        return Examples(
            tuple(self.clips[row] for row in rows),
            tuple(self.classes[row] for row in rows),
            Features(self.features.frames[index], None if maps is None else maps[index]),
        )

    def without(
        self, *, clips: Iterable[Path] = (), classes: Iterable[str] = ()
    ) -> "Examples | None":
        """Return the examples that are neither these clips nor of these classes, if any."""
        paths, names = {path.absolute() for path in clips}, set(classes)
        pairs = zip(self.clips, self.classes, strict=True)
        kept = [clip.absolute() not in paths and name not in names for clip, name in pairs]
        return self.of(np.array(kept, bool))

    def to(self, place: torch.device | torch.dtype) -> "Examples":
        """Return the same with features on a device, or in another precision."""
        frames, maps = self.features.frames, self.features.maps
        moved = Features(frames.to(place), None if maps is None else maps.to(place))
        return Examples(self.clips, self.classes, moved)


def joined(parts: Sequence[Examples]) -> Examples:
    """Join examples, which have equal numbers of frames and channels."""
    return Examples(
        tuple(clip for part in parts for clip in part.clips),
        tuple(name for part in parts for name in part.classes),
        concatenated([part.features for part in parts]),
    )
