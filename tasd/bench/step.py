"""A training step beside the networks' own work, on the same episode, in one run.

Whatever the method, the student goes forwards and backwards over all videos of an episode and the
teacher forwards over those that it is asked about. The rest of a step is what this project adds:
losses, heads, centre, moving average, optimiser. Decoding is measured by `tasd bench loader`.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from rich.table import Table

from tasd import recipes
from tasd.config import Config, replace
from tasd.device import pick_device
from tasd.episodes import EpisodeSampler
from tasd.progress import track
from tasd.training import optimiser
from tasd.training.distributed import World
from tasd.training.learner import Learner, build_learner
from tasd.training.plan import resolve, training_plan
from tasd.training.step import Step, StepResult
from tasd.training.teacher import Teacher
from tasd.types import EpisodeBatch

BARE, BASELINE, TASD = "bare networks", "baseline step", "tasd step"


@dataclass(frozen=True)
class Bench:
    """What is measured; weights are random, which takes as long as any others."""

    backbone: str = "resnet50"
    size: int = 224
    way: int = 5
    shot: int = 1
    queries: int = 5
    precision: str = "auto"
    device: str = "auto"
    rounds: int = 5

    def config(self, recipe: str, *, checkpointing: bool = False) -> Config:
        """A recipe at this size. Raises `UserError`."""
        return replace(
            recipes.make(recipe, dataset="folder", shot=self.shot),
            [
                ("episode.way", self.way),
                ("episode.queries", self.queries),
                ("data.crop", self.size),
                ("network.backbone", self.backbone),
                ("network.weights", "none"),
                ("network.gradient_checkpointing", checkpointing),
                ("training.precision", self.precision),
            ],
        )


@dataclass(frozen=True)
class WayFigures:
    """One kind of step; ``relative`` is the median of its time by the bare networks' of a round."""

    way: str
    seconds: float
    relative: float


@dataclass(frozen=True)
class CostFigures:
    """What was measured, on what. overhead: of a tasd step beyond the networks' own work."""

    backbone: str
    size: int
    task: str
    videos: int
    precision: str
    device: str
    cores: int
    threads: int
    rounds: int
    ways: tuple[WayFigures, ...]
    overhead: float


def bench_step(bench: Bench) -> CostFigures:
    """Time each kind of step ``bench.rounds`` times, one after the other. Raises `UserError`."""
    tasd, batch = built(bench.config("tasd"), bench.device)
    baseline, _ = built(bench.config("baseline"), bench.device)
    kinds: dict[str, Callable[[], object]] = {
        BARE: lambda: _networks(tasd, batch),
        BASELINE: lambda: whole_step(baseline, batch),
        TASD: lambda: whole_step(tasd, batch),
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    names = list(kinds)
    order = names + [names[(r + i) % 3] for r in range(bench.rounds) for i in range(3)]
    for turn, name in enumerate(track(order, total=len(order), what="bench step", unit="steps")):
        taken = _seconds(kinds[name], tasd.world.device)
        if turn >= len(names):  # the first of each warms up
            seconds[name].append(taken)
    ways = way_figures(seconds)
    return CostFigures(
        backbone=bench.backbone,
        size=bench.size,
        task=f"{bench.way}-way {bench.shot}-shot, {bench.queries} queries per class",
        videos=len(batch.frames),
        precision=tasd.config.training.precision,
        device=str(tasd.world.device),
        cores=len(os.sched_getaffinity(0)),
        threads=torch.get_num_threads(),
        rounds=bench.rounds,
        ways=ways,
        overhead=ways[-1].relative - 1,
    )


def way_figures(seconds: dict[str, list[float]]) -> tuple[WayFigures, ...]:
    """Medians over the rounds, of times and of the ratios within a round."""

    def relative(taken: Sequence[float]) -> float:
        return statistics.median(own / bare for own, bare in zip(taken, seconds[BARE], strict=True))

    return tuple(
        WayFigures(name, statistics.median(taken), relative(taken))
        for name, taken in seconds.items()
    )


def step_table(figures: CostFigures) -> Table:
    """The figures for a person to read."""
    table = Table(
        title=f"{figures.backbone} at {figures.size} pixels, {figures.task}, {figures.precision}; "
        f"{figures.device}, {figures.threads} of {figures.cores} cores, {figures.rounds} rounds",
        caption=f"Distillation, losses and optimiser cost {figures.overhead:.0%} beyond the "
        "networks' own work: the student forwards and backwards, the teacher forwards.",
        caption_justify="left",
        min_width=80,
    )
    table.add_column("step")
    for heading in ("ms", "relative"):
        table.add_column(heading, justify="right")
    for way in figures.ways:
        table.add_row(way.way, f"{1000 * way.seconds:,.0f}", f"{way.relative:.2f}x")
    return table


@dataclass(frozen=True)
class TrainingParts:
    """The parts of a training step as the loop has them, for the episodes of one rank."""

    config: Config
    learner: Learner
    teacher: Teacher | None
    optimiser: torch.optim.Optimizer
    step: Step
    world: World

    def gradients(self, batches: Iterable[EpisodeBatch]) -> StepResult:
        """Take the step's episodes forwards and backwards."""
        for batch in batches:
            with self.step.episode(batch):
                targets = self.teacher(batch) if self.teacher is not None else None
                losses = self.step.network(batch, targets)
                (losses.total / self.step.own).backward()
            self.step.add(losses, targets)
            del losses, targets
        return self.step.finish()

    def update(self, result: StepResult, *, ema: float) -> None:
        """Move student and teacher."""
        self.optimiser.step()
        self.step.update()
        if self.teacher is not None:
            self.teacher.follow(self.learner.student, coefficient=ema)
            self.teacher.recentre(result.projection)


def build_parts(config: Config, world: World, *, classes: tuple[str, ...]) -> TrainingParts:
    """Build what `tasd.training.loop` builds of ``config``. Raises `UserError`."""
    config = resolve(config, world)
    plan = training_plan(config, world)
    torch.manual_seed(0)
    learner = build_learner(config, classes=classes).to(world.device).train()
    teacher = Teacher(learner.student, config.distill) if config.distill.weights else None
    pretrained = config.network.weights != "none"
    optim = optimiser.build(learner, config.optimiser, pretrained=pretrained)
    step = Step(learner, world, own=plan.own, seed=config.training.seed, clip=config.optimiser.clip)
    return TrainingParts(config, learner, teacher, optim, step, world)


def built(config: Config, device: str) -> tuple[TrainingParts, EpisodeBatch]:
    """The parts for ``config`` and an episode of noise, on the device. Raises `UserError`."""
    world = World(0, 1, pick_device(device))
    names = tuple(f"class {number}" for number in range(config.episode.way))
    return build_parts(config, world, classes=names), _noise(config, names, world.device)


def whole_step(parts: TrainingParts, batch: EpisodeBatch) -> None:
    """Take a training step of one episode, once its frames are there."""
    parts.update(parts.gradients([batch]), ema=0.01)


def _networks(parts: TrainingParts, batch: EpisodeBatch) -> None:
    """Run the networks alone: the student's F and A backwards, the teacher over the support."""
    assert parts.teacher is not None
    with torch.no_grad():
        parts.teacher.model(batch.frames[: len(batch.support_labels)])
    features = parts.learner.student(batch.frames)
    assert features.maps is not None
    (features.frames.mean() + features.maps.mean(dtype=torch.float32)).backward()
    parts.step.undo()


def _noise(config: Config, names: Sequence[str], device: torch.device) -> EpisodeBatch:
    shape = config.episode
    videos = {name: [f"{name}/{i}" for i in range(shape.shot + shape.queries)] for name in names}
    episode = EpisodeSampler(
        videos, shape.way, shape.shot, shape.queries, 1, seed=0, frames=config.data.frames
    )[0]
    size = (len(episode.views), config.data.frames, config.data.crop, config.data.crop, 3)
    return EpisodeBatch(
        episode=episode,
        frames=torch.randint(0, 256, size, dtype=torch.uint8, device=device),
        support_labels=torch.tensor(episode.support_labels, device=device),
        query_labels=torch.tensor(episode.query_labels, device=device),
    )


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
