"""A run as reports read it: its config, its newest result and its log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasd.config import Config
from tasd.evaluation.metrics import Interval, over_seeds
from tasd.evaluation.results import read_document
from tasd.runs.folder import Run
from tasd.runs.plain import PLAIN


@dataclass(frozen=True)
class Outcome:
    """A run and its newest result on the test classes.

    path: the result file. result: its content. Both are None where the run was not tested.
    """

    run: Run
    config: Config
    path: Path | None
    result: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run.path.resolve().name

    @property
    def method(self) -> str:
        """The name of the method, as in "TASD", "Baseline + SD" or "OTAM + distillation"."""
        frozen = ", frozen backbone" if self.config.data.features is not None else ""
        origin = (self.result or {}).get("provenance", {})
        return self._method + (", transductive" if origin.get("transductive") else "") + frozen

    @property
    def _method(self) -> str:
        matcher = self.config.matcher.name
        if self.config.recipe == "paper":
            return "TASD, letter of the paper"
        if matcher != "bimhm":
            return title(self.config) + (" + distillation" if self.terms else "")
        return ABLATIONS.get(self.terms, "Baseline + " + " + ".join(sorted(self.terms)))

    @property
    def like_published(self) -> bool:
        """True where the paper's tables may list it: tested 5-way, and trained on frames."""
        way = None if self.result is None else self.result["episodes"]["way"]
        return way == 5 and self.config.data.features is None

    @property
    def terms(self) -> frozenset[str]:
        """The distillation terms that are on."""
        return frozenset(self.config.distill.weights)

    @property
    def shot(self) -> int:
        """Shots of the test episodes; of the training episodes where the run was not tested."""
        if self.result is None:
            return self.config.episode.shot
        return int(self.result["episodes"]["shot"])

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        """The result of the network that represents the run; None where it was not tested."""
        if self.result is None:
            return None
        network: Mapping[str, Any] = self.result["networks"][self.result["chosen"]]
        return network

    @property
    def floor(self) -> Mapping[str, Any] | None:
        """The result of the plain backbone that the run began from; None where it has none."""
        found: Mapping[str, Any] | None = (self.result or {}).get("floor")
        return found

    @property
    def settings_key(self) -> str:
        """A text that is equal for runs that differ only in their training seed."""
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
    "hcl": "HCL",
    "sloshnet": "SloshNet",
    "sloshnet-temporal": "sloshnet-temporal",
    "chamfer": "Chamfer",
    "arn": "ARN",
    "itanet": "ITANet",
    "team": "TEAM",
    "mpl": "MPL",
    "tsdcm": "TS-DCM",
}


def title(config: Config) -> str:
    """Return the name of a run's matcher, with what a reader of the published row must know."""
    matcher, backbone = config.matcher.name, config.network.backbone
    if matcher == "arn" and backbone != "c3d64":
        return f"ARN head on {backbone} (new result)"
    if matcher == "itanet":
        return "ITANet (our reading)"
    return NAMES.get(matcher, matcher)


def read_outcome(folder: Path) -> Outcome:
    """Read a run and its newest result. Raises `UserError` where the folder is no run.

    Results of comparisons are skipped, and so are those with another matcher or checkpoint, or of
    a single network: they do not represent the run. Results on another store than that of
    training count where there is none on that store.
    """
    run = Run(folder)
    found = sorted(run.evaluation.glob("test-*.json"), key=lambda path: path.stat().st_mtime)
    single = [path for path in reversed(found) if "-against-" not in path.name]
    elsewhere: Outcome | None = None
    for path in single:
        result = read_document(path)
        origin = result["provenance"]
        if origin.get("variant"):
            continue
        outcome = Outcome(run, run.config(), path, result)
        if origin.get("store_sha256") == origin.get("trained_on_store"):
            return outcome
        elsewhere = elsewhere or outcome
    return elsewhere or Outcome(run, run.config(), None, None)


@dataclass(frozen=True)
class Cell:
    """An accuracy with its interval: over episodes, or over the training seeds of several runs.

    plain: runs that stand here by their plain backbone, which nothing that they trained has beaten.
    """

    interval: Interval
    seeds: int
    plain: int = 0

    @property
    def text(self) -> str:
        """The text in a table, as in "71.2 ±0.4" or "71.2 ±0.4 (3 seeds)"."""
        seeds = f" ({self.seeds} seeds)" if self.seeds > 1 else ""
        number = f" in {self.plain} of {self.seeds}" if self.seeds > 1 else ""
        plain = f" (plain backbone{number})" if self.plain else ""
        return f"{100 * self.interval.mean:.1f} ±{100 * self.interval.half:.1f}{seeds}{plain}"


def cell(outcomes: Sequence[Outcome]) -> Cell | None:
    """Compute one accuracy for runs of one method; None where none of them was tested.

    Where the runs differ in more than the training seed, only those that equal the last one in all
    other settings are used.
    """
    tested = [outcome for outcome in outcomes if outcome.chosen is not None]
    if not tested:
        return None
    alike = [o for o in tested if o.settings_key == tested[-1].settings_key]
    chosen = [outcome.chosen for outcome in alike if outcome.chosen is not None]
    plain = sum((outcome.result or {}).get("chosen") == PLAIN for outcome in alike)
    if len(alike) > 1:
        accuracies = np.array([result["accuracy"] for result in chosen])
        return Cell(over_seeds(accuracies), len(alike), plain)
    low, high = chosen[0]["interval95"]["sampling of episodes only"]
    return Cell(Interval(chosen[0]["accuracy"], low, high), 1, plain)
