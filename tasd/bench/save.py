"""A save beside training: the time that training stops for it, and the time of its writing.

Each round writes the same state once in training's place and once beside a step on an episode of
noise. last.pt and previous.pt lie in a folder of their own beside the runs, which is removed.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table

from tasd.bench.growth import tiny_store
from tasd.bench.rounds import Conditions, interleaved, median_ratio, table_of
from tasd.bench.step import Bench, build_step, whole_step
from tasd.home import home
from tasd.runs.checkpoint import Progress
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.parts import TrainingParts
from tasd.training.plan import training_plan
from tasd.training.saver import Saver, write
from tasd.training.state import State
from tasd.types import EpisodeBatch

IN_PLACE = "training waits for the file"
COPIED = "training waits for the copy"
BESIDE = "beside the passes of a step"
ALONE = "the passes of a step alone"
NOW = Progress(episode=1, step=1)


@dataclass(frozen=True)
class Spent:
    """Seconds that training stopped, and those of a forward and a backward pass meanwhile."""

    stopped: float = 0.0
    passes: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SaveTimes(Conditions):
    """Medians of seconds, and medians of ratios within a round.

    bytes: of last.pt. stops: of the ways `IN_PLACE`, `COPIED`, `BESIDE`. share: the stop of a save
    beside a step, of the time of its writing. slowed: the passes beside a save, over those alone.
    """

    backbone: str
    size: int
    threads: int
    bytes: int
    stops: Mapping[str, float]
    passes: float
    share: float
    slowed: float


def bench_save(bench: Bench) -> SaveTimes:
    """Measure the saves of a run of the recipe ``tasd`` after a step. Raises `UserError`."""
    parts, batch = build_step(bench.config("tasd"), bench.device)
    whole_step(parts, batch)  # from here on the optimiser has moments
    home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bench-save-", dir=home()) as folder:
        tiny_store(Path(folder) / "store", 100)
        store, run = Store(Path(folder) / "store"), Run(Path(folder) / "run")
        state = State(parts.config, store, parts.learner, parts.teacher, parts.optimiser)
        plan = training_plan(parts.config, parts.world)
        with Saver(state, run, plan, writes=True) as save:
            ways = _ways(parts, batch, state, run, save)
            spent = interleaved(ways, rounds=bench.rounds, what="bench save", warm_up=1)
        return save_times(spent, bench, bytes=run.last.stat().st_size, device=parts.world.device)


def save_times(
    spent: Mapping[str, Sequence[Spent]], bench: Bench, *, bytes: int, device: torch.device
) -> SaveTimes:
    """Summarise what was spent in each round."""
    stops = {name: [each.stopped for each in spent[name]] for name in (IN_PLACE, COPIED, BESIDE)}
    passes = {name: [each.passes for each in spent[name]] for name in (BESIDE, ALONE)}
    return SaveTimes(
        backbone=bench.backbone,
        size=bench.size,
        device=str(device),
        threads=torch.get_num_threads(),
        rounds=bench.rounds,
        bytes=bytes,
        stops={name: statistics.median(each) for name, each in stops.items()},
        passes=statistics.median(passes[ALONE]),
        share=median_ratio(stops[BESIDE], stops[IN_PLACE]),
        slowed=median_ratio(passes[BESIDE], passes[ALONE]),
    )


def save_table(times: SaveTimes) -> Table:
    """Lay out the times as a table."""
    return table_of(
        f"last.pt of {times.bytes / 2**20:,.0f} MiB: {times.backbone}; {times.device}, "
        f"{times.threads} of {times.cores} cores, {times.rounds} rounds",
        f"Beside a step a save stops training for {times.share:.1%} of the time of its writing. "
        f"The step's passes at {times.size} pixels take {times.passes:.2f} s alone, and "
        f"{times.slowed:.2f} times as long beside it.",
        {
            "a save": list(times.stops),
            "training stops, ms": [f"{1000 * s:,.0f}" for s in times.stops.values()],
        },
    )


def _ways(
    parts: TrainingParts, batch: EpisodeBatch, state: State, run: Run, save: Saver
) -> dict[str, Callable[[], Spent]]:
    def passes() -> float:
        seconds = _seconds(lambda: parts.gradients([batch]))
        parts.step.undo()
        return seconds

    def in_place() -> Spent:
        return Spent(_seconds(lambda: write(state.checkpoint(NOW), run, better=False, keep=False)))

    def copied() -> Spent:
        stopped = _seconds(lambda: save(NOW)) + _seconds(save.settle)
        save.wait()
        return Spent(stopped)

    def beside() -> Spent:
        stopped, meanwhile = _seconds(lambda: save(NOW)), passes()
        stopped += _seconds(save.settle)
        save.wait()
        return Spent(stopped, meanwhile)

    return {
        IN_PLACE: in_place,
        COPIED: copied,
        BESIDE: beside,
        ALONE: lambda: Spent(passes=passes()),
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
