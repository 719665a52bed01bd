"""What `tasd evaluate` does between the command line and the table that it prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.candidates import Subject
from tasd.evaluation.episodes import Shape, wanted_episodes
from tasd.evaluation.metrics import Paired, paired_difference
from tasd.evaluation.overlap import refuse_overlap
from tasd.evaluation.results import Summary, document, paired_document, provenance, summary


@dataclass(frozen=True)
class Evaluated:
    """A subject on a set of episodes: each network's summary, and the result file's content.

    name: of the file, by split, shape, number and seed of the episodes.
    """

    name: str
    subject: Subject
    episodes: EpisodeTable
    summaries: dict[str, Summary]
    content: dict[str, Any]

    @property
    def accuracy(self) -> np.ndarray:
        """The accuracy of each episode, of the network that stands for the subject."""
        right = np.array(self.summaries[self.subject.chosen].correct, np.float64)
        return right / (self.episodes.way * self.episodes.queries)


def evaluate(
    subject: Subject,
    shape: Shape,
    *,
    seed: int = 0,
    allow_overlap: bool = False,
    batch: int | None = None,
    device: str = "cpu",
) -> Evaluated:
    """Score ``subject`` on the episodes of ``shape``. Raises `UserError`."""
    episodes = wanted_episodes(subject.videos, subject.split, shape, seed=seed)
    tested = [episodes.classes[c] for c in np.unique(episodes.chosen)]
    _refuse_other_splits(subject, tested, episodes.source)
    trained_on = subject.videos.trained_on
    seen = refuse_overlap(subject.name, trained_on, tested, allowed=allow_overlap)
    results = subject.score(episodes, batch=batch, device=device)
    summaries = {name: summary(result) for name, result in results.items()}
    origin = provenance(subject, episodes) | {"device": device, "trained_and_tested": list(seen)}
    content = document(summaries, episodes, chosen=subject.chosen, provenance=origin)
    return Evaluated(_name(subject, shape, episodes), subject, episodes, summaries, content)


def _refuse_other_splits(subject: Subject, tested: Sequence[str], source: str) -> None:
    under_test = subject.videos.splits[subject.split]
    others = [name for name in tested if name not in under_test]
    if others:
        raise UserError(
            f"{source} asks for {len(others)} classes ({others[0]!r} first) that are not of the "
            f"split {subject.split!r} of {subject.videos.path}; draw other episodes, or name "
            "their --split"
        )


def _name(subject: Subject, shape: Shape, episodes: EpisodeTable) -> str:
    own = f"-{subject.variant}" if subject.variant else ""
    if shape.file is not None:
        return f"{subject.split}-{shape.file.stem}{own}"
    kind = f"{shape.way}w{shape.shot}s-{shape.queries}q" + ("-groups" * shape.distinct_groups)
    return f"{subject.split}-{kind}-{len(episodes)}e-seed{episodes.seed}{own}"


def compare(first: Evaluated, second: Evaluated) -> Paired:
    """Second minus first on the same episodes. Raises `UserError` where they are not the same."""
    if first.episodes.hash != second.episodes.hash:
        raise UserError(
            f"{first.subject.name} and {second.subject.name} have other videos under test: they "
            "can only be compared on one store"
        )
    return paired_difference(first.accuracy, second.accuracy)


def comparison(first: Evaluated, second: Evaluated) -> dict[str, Any]:
    """The content of the result file of a comparison."""
    return {
        "format": "tasd-comparison",
        "version": 1,
        "first": first.content,
        "second": second.content,
        "second_minus_first": paired_document(compare(first, second)),
    }
