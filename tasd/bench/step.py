"""A training step beside the bare work of its networks, on the same episode.

In every method the student goes forwards and backwards over all videos of an episode, and the
teacher forwards over the support. The rest of a step is what this project adds: losses, heads,
centre, moving average, optimiser. Beside them stands the usual step of this field
(`tasd.bench.field_step`). Decoding is measured by `tasd bench loader`.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from rich.table import Table

from tasd import recipes
from tasd.bench.field_step import BACKBONES, FieldStep
from tasd.bench.rounds import Conditions, interleaved, median_ratio, table_of, timed
from tasd.config import Config
from tasd.device import pick_device, resolve_precision
from tasd.episodes import EpisodeSampler
from tasd.recipes.settings import replace
from tasd.training import optimiser
from tasd.training.distributed import World
from tasd.training.learner import build_learner
from tasd.training.parts import TrainingParts
from tasd.training.plan import resolve, training_plan
from tasd.training.step import Step
from tasd.training.teacher import Teacher
from tasd.types import EpisodeBatch

BARE, BASELINE, TASD = "bare networks", "baseline step", "tasd step"
PLAIN = "tasd step, not recorded"
FIELD, FIELD_BF16 = "the field's step, float32", "the field's step, bf16"


@dataclass(frozen=True)
class Bench:
    """Settings of the measurement. The weights are random: their values do not change the time."""

    backbone: str = "resnet50"
    size: int = 224
    way: int = 5
    shot: int = 1
    queries: int = 5
    precision: str = "auto"
    device: str = "auto"
    rounds: int = 5

    @property
    def task(self) -> str:
        """The task as text."""
        return f"{self.way}-way {self.shot}-shot, {self.queries} queries per class"

    def config(self, recipe: str, *, checkpointing: bool = False) -> Config:
        """Return a recipe at this size. Raises `UserError`."""
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
class StepTime:
    """Time of one kind of step; ``relative`` to the bare networks in the same round."""

    way: str
    seconds: float
    relative: float


@dataclass(frozen=True, kw_only=True)
class StepTimes(Conditions):
    """Times of all kinds of steps. overhead: of a tasd step beyond the bare networks.

    recorded: what a run on this device says of its recorded passes.
    """

    backbone: str
    size: int
    task: str
    videos: int
    precision: str
    threads: int
    ways: tuple[StepTime, ...]
    overhead: float
    recorded: str


def bench_step(bench: Bench) -> StepTimes:
    """Time each kind of step in ``bench.rounds`` rounds. Raises `UserError`.

    On a GPU the steps of this project replay recorded passes, as a run does.
    """
    plain, batch = build_step(bench.config("tasd"), bench.device)
    baseline, _ = build_step(bench.config("baseline"), bench.device)
    device = str(plain.world.device)
    tasd = plain
    if plain.world.device.type == "cuda":
        tasd, baseline = plain.record(batch), baseline.record(batch)
    steps: dict[str, Callable[[], object]] = {
        BARE: lambda: _networks(plain, batch),
        BASELINE: lambda: whole_step(baseline, batch),
        TASD: lambda: whole_step(tasd, batch),
    }
    if tasd is not plain:
        steps[PLAIN] = lambda: whole_step(plain, batch)
    steps |= _field(bench.backbone, batch)
    kinds = {name: timed(step, device) for name, step in steps.items()}
    ways = step_times(interleaved(kinds, rounds=bench.rounds, what="bench step", warm_up=1))
    return StepTimes(
        backbone=bench.backbone,
        size=bench.size,
        task=bench.task,
        videos=len(batch.frames),
        precision=tasd.config.training.precision,
        device=device,
        threads=torch.get_num_threads(),
        rounds=bench.rounds,
        ways=ways,
        overhead=next(way.relative for way in ways if way.way == TASD) - 1,
        recorded=tasd.recorded.line if tasd is not plain else "",
    )


def _field(backbone: str, batch: EpisodeBatch) -> dict[str, Callable[[], object]]:
    """Return the field's step in each precision that this device computes in by itself."""
    if backbone not in BACKBONES:
        return {}
    steps: dict[str, Callable[[], object]] = {FIELD: FieldStep(backbone, batch, autocast=False)}
    if resolve_precision("auto", batch.frames.device) == "bf16":
        steps[FIELD_BF16] = FieldStep(backbone, batch, autocast=True)
    return steps


def step_times(seconds: Mapping[str, Sequence[float]]) -> tuple[StepTime, ...]:
    """Summarise the seconds of each kind of step in each round."""
    return tuple(
        StepTime(name, statistics.median(taken), median_ratio(taken, seconds[BARE]))
        for name, taken in seconds.items()
    )


def step_table(times: StepTimes) -> Table:
    """Lay out the times as a table."""
    return table_of(
        f"{times.backbone} at {times.size} pixels, {times.task}, {times.precision}; "
        f"{times.device}, {times.threads} of {times.cores} cores, {times.rounds} rounds",
        f"Distillation, losses and optimiser cost {times.overhead:.0%} beyond the networks' own "
        "work: the student forwards and backwards, the teacher forwards."
        + (f" On this GPU {times.recorded}." if times.recorded else ""),
        {
            "step": [way.way for way in times.ways],
            "ms": [f"{1000 * way.seconds:,.0f}" for way in times.ways],
            "relative": [f"{way.relative:.2f}x" for way in times.ways],
        },
    )


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


def build_step(config: Config, device: str) -> tuple[TrainingParts, EpisodeBatch]:
    """Return the parts for ``config`` and an episode of noise on the device. Raises `UserError`."""
    world = World(0, 1, pick_device(device))
    names = tuple(f"class {number}" for number in range(config.episode.way))
    return build_parts(config, world, classes=names), _noise(config, names, world.device)


def whole_step(parts: TrainingParts, batch: EpisodeBatch) -> None:
    """Take a training step of one episode whose frames are decoded."""
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
