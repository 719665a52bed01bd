"""Tables of a study: the paper's table with our results, the single runs, validation curves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from tasd.evaluation.metrics import Interval, over_seeds, paired_difference
from tasd.report.outcome import NAMES, Outcome, cell, title
from tasd.report.published import DATASETS, LATER, TABLE1, TITLES
from tasd.report.tables import Row, Table, table2, table3
from tasd.reproduce.rows import DISTILLED
from tasd.reproduce.runs import PlannedRun, validations
from tasd.runs.plain import PLAIN

NETWORKS = ("student", "teacher")


@dataclass(frozen=True)
class FinishedRun:
    """A run that was trained and tested.

    result: the content of its result file. curve: test accuracies of the kept checkpoints, by
    training episode.
    """

    plan: PlannedRun
    result: Mapping[str, Any]
    curve: Mapping[int, float]

    @property
    def outcome(self) -> Outcome:
        """The run as reports read it."""
        return Outcome(self.plan.run, self.plan.config, None, self.result)

    @cached_property
    def _validations(self) -> list[dict[str, Any]]:
        """The validation lines of its log, which is read once."""
        return validations(self.plan.run)

    @property
    def validation(self) -> list[tuple[int, dict[str, float]]]:
        """Validation accuracy of each network, by training episode."""
        return [
            (line["episode"], {n: line[n]["accuracy"] for n in NETWORKS if n in line})
            for line in self._validations
        ]

    @property
    def untrained(self) -> float:
        """Validation accuracy of the untrained network."""
        return self.validation[0][1]["student"]

    @property
    def _untrained_counts(self) -> bool:
        """True where the untrained network was a candidate for the best checkpoint."""
        config = self.plan.config
        return config.training.untrained_candidate and config.network.weights != "none"

    @property
    def best(self) -> tuple[float, int, str]:
        """The best validation: accuracy, episode, network."""
        trained = [
            (accuracy, -episode, network)
            for episode, accuracies in self.validation
            for network, accuracy in accuracies.items()
            if episode > 0 or self._untrained_counts
        ]
        plain = [(accuracy, 0, PLAIN) for accuracy in self._plain]  # last: ties leave it out
        accuracy, episode, network = max([*trained, *plain], key=lambda found: found[:2])
        return accuracy, -episode, network

    @property
    def _plain(self) -> list[float]:
        """The validation of the plain backbone, where it was a candidate; else none."""
        first = self._validations[0]
        counts = self.plan.config.training.plain_candidate and PLAIN in first
        return [first[PLAIN]["accuracy"]] if counts else []

    @property
    def accuracies(self) -> Float[np.ndarray, " episodes"]:
        """The accuracy on each test episode, of the network that represents the run."""
        episodes, network = self.result["episodes"], self.result["chosen"]
        correct = np.array(self.result["networks"][network]["correct"], np.float64)
        return np.asarray(correct / (episodes["way"] * episodes["queries"]))


def tables_of(table: str, runs: Sequence[FinishedRun]) -> list[Table]:
    """Make the table of the paper, that of the single runs, and for Table 3 that of the curves."""
    outcomes = [run.outcome for run in runs]
    if table == "table1":
        return [matchers_table(runs), runs_table(runs)]
    made = table2(outcomes) if table == "table2" else table3(outcomes)
    main = [made] if made is not None else []
    return [*main, runs_table(runs), *([curves_table(runs)] if table == "table3" else [])]


def matchers_table(runs: Sequence[FinishedRun]) -> Table:
    """Compare every matcher without and with distillation, all on the same test episodes."""
    by_row = _by_row(runs)
    shot = runs[0].plan.config.episode.shot
    rows = []
    for name, mine in by_row.items():
        matcher, distilled = name.removesuffix(DISTILLED), name.endswith(DISTILLED)
        without = by_row.get(matcher, []) if distilled else []
        rows.append(
            (
                title(mine[0].plan.config),
                "yes" if distilled else "",
                _mean([run.untrained for run in mine]),
                _mean([run.best[0] for run in mine]),
                _test_accuracy(mine),
                _gain(without, mine),
                *_published(matcher, distilled=distilled, shot=shot),
            )
        )
    header = (
        "method",
        "distillation",
        "validation, untrained",
        "validation, best",
        "test",
        "gain",
        *(f"published, {TITLES[dataset]}" for dataset in DATASETS),
    )
    shown = {NAMES[name.removesuffix(DISTILLED)] for name in by_row}
    notes = [row.note for row in TABLE1 if row.note and row.method in shown]
    return Table("table1", " ".join([CAPTION1, *notes]), header, tuple(rows), len(rows))


CAPTION1 = (
    "Every matcher without and with the distillation; accuracy in percent. Test: all on the same "
    "episodes, with the 95 % interval over them, or over training seeds where the number of seeds "
    "is given. Validation: all on the same episodes, before training and at the best checkpoint. "
    "Gain: points of test accuracy, with minus without distillation, paired. Published: as printed "
    "in Table 1 of the paper, with an ImageNet ResNet-50."
)


def _by_row(runs: Iterable[FinishedRun]) -> dict[str, list[FinishedRun]]:
    grouped: dict[str, list[FinishedRun]] = {}
    for run in runs:
        grouped.setdefault(run.plan.row.name, []).append(run)
    return grouped


def _mean(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}"


def _test_accuracy(runs: Sequence[FinishedRun]) -> str:
    found = cell([run.outcome for run in runs])
    return "-" if found is None else found.text


def gain(without: Sequence[FinishedRun], distilled: Sequence[FinishedRun]) -> Interval | None:
    """Compute the accuracy with minus without distillation; None without a common seed.

    The interval is over the episodes of a single seed, or over the seeds that both have.
    """
    first = {run.plan.seed: run for run in without}
    pairs = [(first[run.plan.seed], run) for run in distilled if run.plan.seed in first]
    if not pairs:
        return None
    paired = [paired_difference(a.accuracies, b.accuracies).difference for a, b in pairs]
    return paired[0] if len(paired) == 1 else over_seeds(np.array([p.mean for p in paired]))


def _gain(without: Sequence[FinishedRun], distilled: Sequence[FinishedRun]) -> str:
    found = gain(without, distilled)
    return "" if found is None else f"{100 * found.mean:+.1f} ±{100 * found.half:.1f}"


def _published(matcher: str, *, distilled: bool, shot: int) -> list[str]:
    """Return the published accuracies of a row; with distillation only BiMHM has some, as TASD."""
    method = NAMES.get(matcher) if not distilled else "TASD" if matcher == "bimhm" else None
    found = next((row for row in (*TABLE1, *LATER) if row.method == method), None)
    return ["-" if found is None else found.text(dataset, shot) for dataset in DATASETS]


def runs_table(runs: Sequence[FinishedRun]) -> Table:
    """List the runs, one row each."""
    header: Row = ("run", "untrained", "best on validation", *NETWORKS, "floor")
    rows = [_run_row(run) for run in runs]
    if any(run.curve for run in runs):
        header = (*header, "best on test (chosen on the test classes: not a result)")
        rows = [(*row, _best_on_test(run)) for row, run in zip(rows, runs, strict=True)]
    return Table("runs", CAPTION_RUNS, header, tuple(rows), len(rows))


def _run_row(run: FinishedRun) -> Row:
    accuracy, episode, network = run.best
    return (
        run.plan.name,
        f"{100 * run.untrained:.1f}",
        f"{100 * accuracy:.1f} ({network}, episode {episode:,})",
        *(_accuracy(run.result["networks"].get(name)) for name in NETWORKS),
        _accuracy(run.result.get("floor")),
    )


CAPTION_RUNS = (
    "The single runs; accuracy in percent. On the validation classes before training and at the "
    "best validation, which chose the checkpoint; then of its networks on the test episodes, and "
    "of the floor: the pretrained backbone that the run began from, without any training."
)


def _accuracy(network: Mapping[str, Any] | None) -> str:
    return "-" if network is None else f"{100 * network['accuracy']:.1f}"


def _best_on_test(run: FinishedRun) -> str:
    """Format the accuracy of a choice on the test classes, as in the paper's best episodes."""
    if not run.curve:
        return ""
    episode = max(run.curve, key=lambda e: (run.curve[e], -e))
    return f"{100 * run.curve[episode]:.1f} (episode {episode:,})"


def curves_table(runs: Sequence[FinishedRun]) -> Table:
    """List validation accuracies by training episode, of the better network of each run."""
    curves = {run.plan.name: {e: max(v.values()) for e, v in run.validation} for run in runs}
    bests = {run.plan.name: run.best[1] for run in runs}
    episodes = sorted({episode for curve in curves.values() for episode in curve})
    rows = tuple(
        (f"{episode:,}", *(_point(curve, episode, bests[name]) for name, curve in curves.items()))
        for episode in episodes
    )
    return Table("curves", CAPTION_CURVES, ("episode", *curves), rows)


CAPTION_CURVES = (
    "Validation accuracy in percent, the better of student and teacher; * marks each run's best."
)


def _point(curve: Mapping[int, float], episode: int, best: int) -> str:
    if episode not in curve:
        return ""
    equal = curve[episode] == curve[best] and (episode > 0 or best == 0)
    return f"{100 * curve[episode]:.1f}{' *' if equal else ''}"


def document(table: str, runs: Sequence[FinishedRun], made: Sequence[Table]) -> dict[str, Any]:
    """Return runs and tables as plain data."""
    return {
        "format": "tasd-reproduction",
        "version": 1,
        "table": table,
        "episodes": runs[0].result["episodes"] if runs else None,
        "runs": [_run_document(run) for run in runs],
        "tables": [
            {"name": t.name, "caption": t.caption, "header": t.header, "rows": t.rows} for t in made
        ],
    }


def _run_document(run: FinishedRun) -> dict[str, Any]:
    accuracy, episode, network = run.best
    return {
        "row": run.plan.row.name,
        "seed": run.plan.seed,
        "run": str(run.plan.run.path),
        "untrained": run.untrained,
        "best": {"accuracy": accuracy, "episode": episode, "network": network},
        "validation": [{"episode": at, **accuracies} for at, accuracies in run.validation],
        "chosen": run.result["chosen"],
        "test": {name: _brief(network) for name, network in run.result["networks"].items()},
        "floor": _brief(run.result.get("floor")),
        "test_by_episode": dict(run.curve),
    }


def _brief(network: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if network is None:
        return None
    return {key: network[key] for key in ("accuracy", "interval95")}
