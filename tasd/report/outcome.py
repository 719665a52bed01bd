"""What a report tells of a run: its config, its results, its log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasd.config import Config
from tasd.errors import UserError
from tasd.evaluation.metrics import Interval, over_seeds
from tasd.evaluation.results import read_document
from tasd.runs.folder import Run


@dataclass(frozen=True)
class Outcome:
    """A run and its newest result on the test classes, where there is one.

    path: of the result file. result: its content.
    """

    run: Run
    config: Config
    path: Path | None
    result: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """The run's folder."""
        return self.run.path.resolve().name

    @property
    def method(self) -> str:
        """What was trained, in a few words: "TASD", "Baseline + SD", "OTAM + distillation"."""
        frozen = ", frozen backbone" if self.config.data.features is not None else ""
        return self._method + frozen

    @property
    def _method(self) -> str:
        matcher = self.config.matcher.name
        if self.config.recipe == "paper":
            return "TASD, letter of the paper"
        if matcher != "bimhm":
            return NAMES.get(matcher, matcher) + (" + distillation" if self.terms else "")
        return ABLATIONS.get(self.terms, "Baseline + " + " + ".join(sorted(self.terms)))

    @property
    def like_published(self) -> bool:
        """Whether its number may stand in the paper's tables: 5-way, and trained on frames."""
        way = None if self.result is None else self.result["episodes"]["way"]
        return way == 5 and self.config.data.features is None

    @property
    def terms(self) -> frozenset[str]:
        """The distillation terms that are on."""
        return frozenset(self.config.distill.weights)

    @property
    def shot(self) -> int:
        """Of the episodes tested, or where none were, trained on."""
        if self.result is None:
            return self.config.episode.shot
        return int(self.result["episodes"]["shot"])

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        """The result of the network that stands for the run."""
        if self.result is None:
            return None
        network: Mapping[str, Any] = self.result["networks"][self.result["chosen"]]
        return network

    @property
    def sameness(self) -> str:
        """Equal for runs that differ in the training seed alone."""
        tree = self.config.model_dump()
        tree["training"].pop("seed")
        episodes = None if self.result is None else self.result["episodes"] | {"sha256": None}
        return repr((tree, episodes))


ABLATIONS = {
    frozenset(): "Baseline",
    frozenset({"ce"}): "Baseline + SD",
    frozenset({"ce", "pr"}): "Baseline + SD + PR",
    frozenset({"ce", "at", "am", "pr"}): "TASD",
}
NAMES = {
    "bimhm": "BiMHM",
    "otam": "OTAM",
    "trx": "TRX",
    "ta2n": "TA2N",
    "strm": "STRM",
    "hyrsm": "HyRSM",
    "molo": "MoLo",
    "prototype": "ProtoNet",
}


def read_outcome(folder: Path) -> Outcome:
    """A run and its newest result. Raises `UserError` where the folder is no run.

    Comparisons, and results with another matcher, checkpoint or network alone, do not stand for
    the run.
    """
    run = Run(folder)
    found = sorted(run.evaluation.glob("test-*.json"), key=lambda path: path.stat().st_mtime)
    single = [path for path in reversed(found) if "-against-" not in path.name]
    for path in single:
        result = read_document(path)
        if not result["provenance"].get("variant"):
            return Outcome(run, run.config(), path, result)
    return Outcome(run, run.config(), None, None)


@dataclass(frozen=True)
class Cell:
    """A number of ours: over episodes, or over training seeds where there are several runs."""

    interval: Interval
    seeds: int

    @property
    def text(self) -> str:
        """As in "71.2 ±0.4"; the seeds are told where there are several."""
        seeds = f" ({self.seeds} seeds)" if self.seeds > 1 else ""
        return f"{100 * self.interval.mean:.1f} ±{100 * self.interval.half:.1f}{seeds}"


def cell(outcomes: Sequence[Outcome]) -> Cell | None:
    """One number for runs of one method; None where none of them was tested.

    Runs that differ in more than the training seed cannot share a cell: the last one counts.
    """
    tested = [outcome for outcome in outcomes if outcome.chosen is not None]
    if not tested:
        return None
    alike = [o for o in tested if o.sameness == tested[-1].sameness]
    chosen = [outcome.chosen for outcome in alike if outcome.chosen is not None]
    if len(alike) > 1:
        return Cell(over_seeds(np.array([said["accuracy"] for said in chosen])), len(alike))
    low, high = chosen[0]["interval95"]["sampling of episodes only"]
    return Cell(Interval(chosen[0]["accuracy"], low, high), 1)


def require_results(outcomes: Sequence[Outcome]) -> None:
    """Raise `UserError` where no run was tested."""
    if not any(outcome.result for outcome in outcomes):
        named = ", ".join(str(outcome.run.path) for outcome in outcomes)
        raise UserError(f"no results in {named}; test them with tasd evaluate --run")
