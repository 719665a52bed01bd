"""The scores and the label of one clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NONE_OF_THESE = "none of these"


@dataclass(frozen=True)
class Answer:
    """The scores and the label of one clip, or of one window of it.

    video: the path as it was given. scores: of each class, higher is likelier; empty where the
    clip could not be read, and ``problem`` says why. accepted: False for none of these.
    note: a remark of the decoder on a clip that it could read. span: start and end of a window
    in seconds.
    """

    video: Path
    scores: Mapping[str, float]
    accepted: bool = True
    problem: str = ""
    note: str = ""
    span: tuple[float, float] | None = None

    @property
    def best(self) -> str | None:
        """The class with the highest score, accepted or not; None without scores."""
        return max(self.scores, key=lambda name: self.scores[name]) if self.scores else None

    @property
    def label(self) -> str | None:
        """`best`, or `NONE_OF_THESE`; None where the clip could not be read."""
        return self.best if self.accepted or self.best is None else NONE_OF_THESE

    @property
    def probabilities(self) -> dict[str, float]:
        """Softmax of the scores, as in training: shares among these classes, not certainties."""
        scores = np.array(list(self.scores.values()))
        powers = np.exp(scores - scores.max(initial=-np.inf))
        return dict(zip(self.scores, (powers / powers.sum()).tolist(), strict=True))
