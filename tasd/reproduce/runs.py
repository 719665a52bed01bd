"""One run of a table: its folder, its progress, its training and its test."""

import functools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from tasd.config import Config
from tasd.errors import UserError
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.evaluation.floor import with_floor
from tasd.evaluation.results import read_document, write_document
from tasd.extraction.run import Extraction
from tasd.recipes.settings import replace
from tasd.registry import OPTIONS, typed_as
from tasd.reproduce.rows import Row
from tasd.runs import checkpoint
from tasd.runs.changes import changes
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.loop import train

State = Literal["new", "begun", "trained", "done"]


@dataclass(frozen=True)
class PlannedRun:
    """A row with a training seed, its config and its run folder."""

    row: Row
    seed: int
    config: Config
    run: Run

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.run.path.name


def plan_runs(rows: Sequence[Row], *, seeds: int, folder: Path) -> list[PlannedRun]:
    """Combine every row with every seed, all rows of a seed before the next seed."""
    return [
        PlannedRun(
            row=row,
            seed=seed,
            config=replace(row.config, [("training.seed", seed)]),
            run=Run(folder / f"{row.name}-seed{seed}"),
        )
        for seed in range(seeds)
        for row in rows
    ]


@dataclass(frozen=True)
class Progress:
    """Progress of a run. episode: the number of training episodes that are done."""

    state: State
    episode: int = 0

    @property
    def needs_training(self) -> bool:
        """True where training episodes are left."""
        return self.state in ("new", "begun")


def progress_of(plan: PlannedRun, request: EpisodeRequest) -> Progress:
    """Read the progress of a run. Raises `UserError` where its folder holds another run."""
    run = plan.run
    if not (run.path / "config.json").exists():
        return Progress("new")
    _check_same(run.config(), plan)
    if run.unsaved:  # it ended before its first checkpoint
        return Progress("new")
    if not run.last.exists() and result_of(run, request):  # deleted for its size
        return Progress("done", plan.config.training.episodes)
    done = checkpoint.peek(run.last).progress.episode
    if done < plan.config.training.episodes:
        return Progress("begun", done)
    return Progress("done" if result_of(run, request) else "trained", done)


# Settings that a run resolves when it begins, or that an older run has otherwise and that change no
# number, with the values that leave them open.
_OPEN = {
    "training.episodes_per_step": None,
    "training.precision": "auto",
    "training.graph": "auto",
}


def _check_same(saved: Config, plan: PlannedRun) -> None:
    for change in changes(saved, plan.config):
        resolved = change.setting in _OPEN and change.after == _OPEN[change.setting]
        if not resolved:
            before, after = (
                typed_as(OPTIONS.get(change.setting, change.setting), value)
                for value in (change.before, change.after)
            )
            raise UserError(
                f"{plan.run.path} was run with {before}, but this command has {after}; give the "
                "same settings again, or another --out"
            )


def train_and_test(
    plan: PlannedRun,
    store: Store,
    request: EpisodeRequest,
    *,
    device: str,
    console: Console,
    curve: bool,
) -> int:
    """Finish the training and the tests of a run, and skip what is done.

    Returns 0, or the exit code of the signal that stopped it. curve: also test every kept
    checkpoint.
    """
    code = _train(plan, store, request, device=device, console=console)
    if code:
        return code
    if result_of(plan.run, request) is None:
        _test(plan.run, plan.run.best, store, request, device, into=plan.run.evaluation)
    for path in kept_checkpoints(plan.run) if curve else ():
        folder = curve_folder(plan.run, path)
        if not list(folder.glob("*.json")):
            _test(plan.run, path, store, request, device, into=folder)
    return 0


def _train(
    plan: PlannedRun, store: Store, request: EpisodeRequest, *, device: str, console: Console
) -> int:
    run, progress = plan.run, progress_of(plan, request)
    if not progress.needs_training:
        return 0
    config, resume = plan.config, None
    if progress.state == "begun":
        config, resume = checkpoint.peek(run.last).config, run.last
    elif run.unsaved:
        resume = run.last  # the same run, ended before its first checkpoint, begins again
    command = ["tasd", "reproduce", plan.name]
    return train(
        config, store, run=run, device=device, resume=resume, command=command, console=console
    ).exit_code


def _test(
    run: Run, source: Path, store: Store, request: EpisodeRequest, device: str, *, into: Path
) -> None:
    """Test a checkpoint, write its result file, and delete the features computed for it."""
    saved = checkpoint.load(source)
    how = Extraction(device=device)
    candidate = of_run(run, saved, store, how, source=source)
    if source == run.best:
        candidate = with_floor(candidate, run, saved, store, how)
    tested = evaluate(candidate, request, device=device)
    write_document(into / f"{tested.name}.json", tested.content)
    shutil.rmtree(run.path / "features", ignore_errors=True)


def kept_checkpoints(run: Run) -> list[Path]:
    """Return the kept checkpoints of a run, without the untrained one."""
    found = sorted(run.checkpoints.glob("episode-*.pt"))
    return [path for path in found if int(path.stem.partition("-")[2]) > 0]


def curve_folder(run: Run, path: Path) -> Path:
    """Return the folder for the result of a kept checkpoint, apart from that of the run."""
    return run.evaluation / path.stem


def result_of(run: Run, request: EpisodeRequest) -> dict[str, Any] | None:
    """Read the result of the best checkpoint on these test episodes, or return None."""
    if not run.best.exists():
        return None
    about = run.best.stat()
    identity = _hash(run.best, about.st_mtime_ns, about.st_size)
    for path in sorted(run.evaluation.glob("test-*.json")):
        content = read_document(path)
        if content["provenance"]["checkpoint"]["sha256"] == identity and _is_on(request, content):
            return content
    return None


@functools.cache
def _hash(path: Path, changed: int, size: int) -> str:
    """Return the hash of a checkpoint, read once: the tables are made after every run."""
    return checkpoint.file_hash(path)


def curve_of(run: Run, request: EpisodeRequest) -> dict[int, float]:
    """Read the test accuracy of the better network at each kept checkpoint, by episode."""
    found = {}
    for path in kept_checkpoints(run):
        for result in curve_folder(run, path).glob("test-*.json"):
            content = read_document(result)
            if _is_on(request, content):
                best = max(network["accuracy"] for network in content["networks"].values())
                found[int(path.stem.partition("-")[2])] = best
    return found


def _is_on(request: EpisodeRequest, content: Mapping[str, Any]) -> bool:
    tested = content["episodes"]
    return all(tested[key] == getattr(request, key) for key in ("count", "way", "shot", "queries"))


def validations(run: Run) -> list[dict[str, Any]]:
    """Read the validation lines of a run's log, in the order of their episodes."""
    return [line for line in run.read_metrics() if line["kind"] == "validation"]
