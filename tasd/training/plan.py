"""The length of a run in episodes and steps, its intervals, and the episodes of each rank."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tasd.config import Config, DistillOptions, OptimiserOptions, PairMode, TrainingOptions
from tasd.device import resolve_precision
from tasd.episodes import Episode, EpisodeSampler, SecondView
from tasd.errors import UserError
from tasd.recipes.settings import replace
from tasd.runs.checkpoint import Progress
from tasd.store import VideoSource
from tasd.training import schedule
from tasd.training.distributed import World

# The most that a kill -9 costs where training.save_every names no number of episodes.
SECONDS_BETWEEN_SAVES = 300.0
# On a CPU a shorter run is over before it is worth two passes to say how long it will take.
WORTH_A_TRIAL = 100


@dataclass(frozen=True)
class TrainingPlan:
    """Counts, intervals and rates of a run; intervals that its options leave open are filled in.

    per_step: episodes of an optimiser step over all ranks, own: those of this rank.
    steps: optimiser steps of the whole run.
    """

    training: TrainingOptions
    optimiser: OptimiserOptions
    distill: DistillOptions
    per_step: int
    own: int
    steps: int

    @property
    def episodes(self) -> int:
        """All episodes of the run: a multiple of ``per_step``."""
        return self.steps * self.per_step

    @property
    def kept(self) -> int:
        """The number of checkpoints that are kept under their own names, the untrained one too."""
        every = self.training.checkpoint_every
        return 0 if every is None else 1 + self.episodes // max(every, self.per_step)

    def trial_due(self, now: Progress, world: World) -> bool:
        """True where an episode is tried before the first step (`Step.warm_up`).

        GPUs record it, ranks learn from it which weights have no gradient; one process on a CPU
        wants to know its seconds alone.
        """
        needed = world.device.type == "cuda" or world.size > 1
        left = self.episodes - now.episode
        return left > 0 and (needed or left >= WORTH_A_TRIAL)

    def gradient_norms_due(self, now: Progress) -> bool:
        """True where the step after ``now`` is to compute the norm of each term's gradient."""
        every = self.training.gradients_every or max(10, self.episodes // 100)
        return now.step == 0 or self._passed(now.episode + self.per_step, every)

    def validation_due(self, now: Progress) -> bool:
        """True where ``now`` is validated: at an interval, and at the end."""
        every = self.training.validation_every or default_interval(self.episodes)
        return self._passed(now.episode, every) or now.episode == self.episodes

    def keep_due(self, now: Progress) -> bool:
        """True where the checkpoint of ``now`` is kept under its own name."""
        return self._passed(now.episode, self.training.checkpoint_every)

    def save_due(self, now: Progress, *, seconds: float) -> bool:
        """True where last.pt is written between validations, ``seconds`` after the last save.

        Saving changes no number of the run.
        """
        if self.training.save_every is not None:
            return self._passed(now.episode, self.training.save_every)
        return seconds >= SECONDS_BETWEEN_SAVES

    def rate(self, now: Progress) -> float:
        """Factor of the learning rate in the step after ``now``."""
        if self.optimiser.schedule == "constant":
            return 1.0
        if self.optimiser.schedule == "step":
            warmup = math.ceil((self.optimiser.warmup or 0) / self.per_step)
            at, factor = self.optimiser.step_at, self.optimiser.step_factor
            return schedule.steps_down(
                now.step, steps=self.steps, warmup=warmup, at=at, factor=factor
            )
        episodes = self.optimiser.warmup
        if episodes is None:
            episodes = min(500, self.episodes // 10)
        warmup = math.ceil(episodes / self.per_step)
        return schedule.warmup_cosine(now.step, steps=self.steps, warmup=warmup)

    def ema(self, now: Progress) -> float:
        """Lambda of Eq. 1 in the step after ``now``."""
        start = self.distill.ema_start or schedule.ema_start(self.episodes)
        return schedule.ema_coefficient(
            now.step, steps=self.steps, start=start, kind=self.distill.ema
        )

    def pace(self, now: Progress) -> schedule.Pace:
        """Weights of the distillation and temperature of its teacher in the step after ``now``."""
        return schedule.pace(now.step, steps=self.steps, options=self.distill)

    def _passed(self, episode: int, every: int | None) -> bool:
        """True where the step that ended with ``episode`` passed a multiple of ``every``."""
        return every is not None and episode % every < self.per_step


def default_interval(episodes: int) -> int:
    """Episodes between two validations of a run of ``episodes``, by default."""
    return max(50, episodes // 60)


def resolve(config: Config, world: World) -> Config:
    """Fill in what depends on the number of ranks and the device.

    It is written into the run, so that a resume on other ranks or another device takes the same
    steps. Raises `UserError` where episodes and ranks do not fit.
    """
    per_step = config.training.episodes_per_step or world.size
    if per_step % world.size:
        raise UserError(
            f"training.episodes_per_step = {per_step} cannot be shared equally among "
            f"{world.size} ranks; use a multiple of {world.size}, or a divisor of {per_step} ranks"
        )
    chosen = {
        "training.episodes_per_step": per_step,
        "training.precision": resolve_precision(config.training.precision, world.device),
    }
    return replace(config, list(chosen.items()))


def training_plan(config: Config, world: World) -> TrainingPlan:
    """Plan a run of a config that `resolve` returned."""
    per_step = config.training.episodes_per_step
    assert per_step is not None, "the config is not resolved"
    return TrainingPlan(
        training=config.training,
        optimiser=config.optimiser,
        distill=config.distill,
        per_step=per_step,
        own=per_step // world.size,
        steps=math.ceil(config.training.episodes / per_step),
    )


def training_episodes(config: Config, store: VideoSource, *, episodes: int) -> EpisodeSampler:
    """Make the sampler of a run's ``episodes``, from the training classes."""
    views: dict[PairMode, SecondView] = {"CS": "none", "SS": "support", "QS": "query"}
    return EpisodeSampler(
        videos=store.classes("train"),
        way=config.episode.way,
        shot=config.episode.shot,
        queries=config.episode.queries,
        length=episodes,
        seed=config.training.seed,
        frames=config.data.frames,
        training=True,
        second=views[config.distill.ce_pairs] if config.distill.ce else "none",
        jitter=config.data.jitter,
        flip=config.data.flip,
        source=f"the training classes of {store.path}",
    )


def share(sampler: EpisodeSampler, *, done: int, world: World) -> Iterator[Episode]:
    """Yield the episodes of this rank after the first ``done``: every ``world.size``-th of all."""
    return (sampler[index] for index in range(done + world.rank, len(sampler), world.size))
