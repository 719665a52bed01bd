"""The scores and the label of one clip."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from tasd.errors import UserError

NONE_OF_THESE = "none of these"
NOT_READ = "not read"  # in place of a label, where a list of labels needs a word


@dataclass(frozen=True)
class Nearest:
    """The support clip that is most like a clip, and its class."""

    path: Path
    class_name: str


@dataclass(frozen=True)
class Answer:
    """The scores and the label of one clip, or of one window of it.

    video: the path as it was given. scores: of each class, higher is likelier; empty where the
    clip could not be read, and ``problem`` says why. accepted: False for none of these.
    note: a remark of the decoder on a clip that it could read. span: start and end of a window
    in seconds. nearest: the support clip with the highest score if each were a class of its own
    (see `tasd.predict.comparison.Comparison.nearest`); None where the clip could not be read.
    """

    video: Path
    scores: Mapping[str, float]
    accepted: bool = True
    problem: str = ""
    note: str = ""
    span: tuple[float, float] | None = None
    nearest: Nearest | None = None

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
        scores = np.array([list(self.scores.values())])
        return dict(zip(self.scores, shares(scores)[0].tolist(), strict=True))

    @property
    def margin(self) -> float:
        """The best share minus the second, from 0 to 1; NaN without scores."""
        shares = sorted(self.probabilities.values(), reverse=True)
        if not shares:
            return float("nan")
        return shares[0] - (shares[1] if len(shares) > 1 else 0.0)


def shares(scores: Float[np.ndarray, "clips classes"]) -> Float[np.ndarray, "clips classes"]:
    """Return the softmax of the scores of each clip."""
    powers: np.ndarray = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return found


def smallest_margins(answers: Iterable[Answer], count: int) -> list[Answer]:
    """Return the ``count`` answers with the smallest margins, smallest first; of those with scores.

    Raises `UserError` where ``count`` is below 1.
    """
    if count < 1:
        raise UserError(f"{count} clips cannot be suggested; ask for 1 or more")
    return sorted((answer for answer in answers if answer.scores), key=lambda a: a.margin)[:count]
