"""Pairs of runs that were tested on the same episodes, and the difference in each episode."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tasd.evaluation.metrics import Paired, paired_difference
from tasd.report.outcome import Outcome


@dataclass(frozen=True)
class Comparison:
    """Two runs: ``second`` minus ``first``, episode by episode."""

    first: str
    second: str
    paired: Paired


@dataclass(frozen=True)
class Comparisons:
    """The comparisons that can be made, and a sentence for each run that cannot be compared."""

    made: tuple[Comparison, ...]
    notes: tuple[str, ...]


def comparisons(outcomes: Sequence[Outcome]) -> Comparisons:
    """Compare each tested run with the first one that was tested."""
    tested = [outcome for outcome in outcomes if outcome.result is not None]
    made, notes = [], []
    for other in tested[1:]:
        first = tested[0]
        if _episodes(first) != _episodes(other):
            notes.append(
                f"{other.name} was tested on other episodes than {first.name}; tasd evaluate "
                "--compare tests two runs on the same ones"
            )
            continue
        gain = paired_difference(_accuracy(first), _accuracy(other))
        made.append(Comparison(first.name, other.name, gain))
    return Comparisons(tuple(made), tuple(notes))


def _episodes(outcome: Outcome) -> object:
    assert outcome.result is not None
    return outcome.result["episodes"].get("sha256")


def _accuracy(outcome: Outcome) -> Float[np.ndarray, " episodes"]:
    assert outcome.result is not None
    assert outcome.chosen is not None
    episodes = outcome.result["episodes"]
    right = np.array(outcome.chosen["correct"], np.float64)
    return np.asarray(right / (episodes["way"] * episodes["queries"]))
