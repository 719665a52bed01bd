"""One run of a table: where it lies, how far it is, and doing what is left of it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from tasd.config import Config, changes, replace
from tasd.errors import UserError
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.evaluation.results import read_document, write_document
from tasd.extraction.run import Extraction
from tasd.reproduce.rows import Row
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.loop import train

State = Literal["new", "begun", "trained", "done"]


@dataclass(frozen=True)
class Planned:
    """A row with a training seed, and its folder."""

    row: Row
    seed: int
    config: Config
    run: Run

    @property
    def name(self) -> str:
        """As its folder is called."""
        return self.run.path.name


def planned(rows: Sequence[Row], *, seeds: int, folder: Path) -> list[Planned]:
    """Every row with every seed, all rows of a seed before the next seed."""
    return [
        Planned(
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
    """How far a run is: ``state``, and training episodes done."""

    state: State
    episode: int = 0


def standing(plan: Planned, shape: EpisodeRequest) -> Progress:
    """How far the run is. Raises `UserError` where its folder holds another run."""
    run = plan.run
    if not (run.path / "config.json").exists():
        return Progress("new")
    _check_same(run.config(), plan)
    if not run.last.exists():  # ended before anything was saved
        return Progress("new")
    done = checkpoint.load(run.last).progress.episode
    if done < plan.config.training.episodes:
        return Progress("begun", done)
    return Progress("done" if result_of(run, shape) else "trained", done)


# What a run fills in when it begins, if it was left open, and in which words it is left open.
_FILLED = {"training.episodes_per_step": None, "training.precision": "auto"}


def _check_same(was: Config, plan: Planned) -> None:
    for change in changes(was, plan.config):
        filled = change.setting in _FILLED and change.after == _FILLED[change.setting]
        if not filled:
            raise UserError(
                f"{plan.run.path} was run with {change.setting} = {change.before!r}, and now it is "
                f"{change.after!r}; give the settings of then, or another --out"
            )


def carry_out(
    plan: Planned,
    store: Store,
    shape: EpisodeRequest,
    *,
    device: str,
    console: Console,
    curve: bool,
) -> int:
    """Train and test what is left to do; 0, or the exit code of a signal that stopped it.

    curve: also test every checkpoint that was kept on the way.
    """
    code = _trained(plan, store, shape, device=device, console=console)
    if code:
        return code
    if result_of(plan.run, shape) is None:
        _tested(plan.run, plan.run.best, store, shape, device, into=plan.run.evaluation)
    for path in kept(plan.run) if curve else ():
        folder = curve_folder(plan.run, path)
        if not list(folder.glob("*.json")):
            _tested(plan.run, path, store, shape, device, into=folder)
    return 0


def _trained(
    plan: Planned, store: Store, shape: EpisodeRequest, *, device: str, console: Console
) -> int:
    now, run = standing(plan, shape), plan.run
    if now.state == "new" and run.path.exists():
        shutil.rmtree(run.path)  # a run of ours that had saved nothing yet
    if now.state not in ("new", "begun"):
        return 0
    config, resume = plan.config, None
    if now.state == "begun":
        config, resume = checkpoint.load(run.last).config, run.last
    command = ["tasd", "reproduce", plan.name]
    return train(
        config, store, run=run, device=device, resume=resume, command=command, console=console
    ).exit_code


def _tested(
    run: Run, source: Path, store: Store, shape: EpisodeRequest, device: str, *, into: Path
) -> None:
    """Score a checkpoint on the test episodes; its features are not kept."""
    saved = checkpoint.load(source)
    candidate = of_run(run, saved, store, Extraction(device=device), source=source)
    tested = evaluate(candidate, shape, device=device)
    write_document(into / f"{tested.name}.json", tested.content)
    shutil.rmtree(run.path / "features", ignore_errors=True)


def kept(run: Run) -> list[Path]:
    """The checkpoints that were kept on the way, the untrained one aside."""
    found = sorted(run.checkpoints.glob("episode-*.pt"))
    return [path for path in found if int(path.stem.partition("-")[2]) > 0]


def curve_folder(run: Run, path: Path) -> Path:
    """Where the result of a kept checkpoint lies, apart from that of the run."""
    return run.evaluation / path.stem


def result_of(run: Run, shape: EpisodeRequest) -> dict[str, Any] | None:
    """The result of the best checkpoint on these very episodes, or None."""
    if not run.best.exists():
        return None
    identity = checkpoint.file_hash(run.best)
    for path in sorted(run.evaluation.glob("test-*.json")):
        content = read_document(path)
        if content["provenance"]["checkpoint"]["sha256"] == identity and _is(content, shape):
            return content
    return None


def curve_of(run: Run, shape: EpisodeRequest) -> dict[int, float]:
    """Test accuracy of the better network at each kept checkpoint that was tested."""
    found = {}
    for path in kept(run):
        for result in curve_folder(run, path).glob("test-*.json"):
            content = read_document(result)
            if _is(content, shape):
                best = max(said["accuracy"] for said in content["networks"].values())
                found[int(path.stem.partition("-")[2])] = best
    return found


def _is(content: Mapping[str, Any], shape: EpisodeRequest) -> bool:
    told = content["episodes"]
    asked = {"count": shape.count, "way": shape.way, "shot": shape.shot, "queries": shape.queries}
    return all(told[key] == value for key, value in asked.items())


def validations(run: Run) -> list[dict[str, Any]]:
    """The lines of the log that tell validation accuracies, by episode."""
    return [line for line in run.read_metrics() if line["kind"] == "validation"]
