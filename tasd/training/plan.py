"""How long a run is, in episodes and steps, and which episodes a rank has."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tasd.config import Config, PairMode, replace
from tasd.device import resolve_precision
from tasd.episodes import Episode, EpisodeSampler, SecondView
from tasd.errors import UserError
from tasd.features.store import FeatureStore
from tasd.store import Store
from tasd.training import schedule
from tasd.training.distributed import World


@dataclass(frozen=True)
class TrainingPlan:
    """Counts of a run, the intervals its config leaves open filled in.

    per_step: episodes of an optimiser step, over all ranks. own: those of this rank.
    episodes: of the whole run, a multiple of ``per_step``.
    """

    config: Config
    per_step: int
    own: int
    steps: int

    @property
    def episodes(self) -> int:
        """All episodes of the run."""
        return self.steps * self.per_step

    @property
    def gradients_every(self) -> int:
        """Episodes between two looks at the terms' gradients."""
        return self.config.training.gradients_every or max(10, self.episodes // 100)

    @property
    def validation_every(self) -> int:
        """Episodes between two validations."""
        return self.config.training.validation_every or default_interval(self.episodes)

    def due(self, episode: int, every: int | None) -> bool:
        """Whether the step that ended with ``episode`` passed a multiple of ``every``."""
        return every is not None and episode % every < self.per_step

    def rate(self, step: int) -> float:
        """Factor of the learning rate in this step."""
        options = self.config.optimiser
        if options.schedule == "constant":
            return 1.0
        episodes = options.warmup
        if episodes is None:
            episodes = min(500, self.episodes // 10)
        warmup = math.ceil(episodes / self.per_step)
        return schedule.warmup_cosine(step, steps=self.steps, warmup=warmup)

    def ema(self, step: int) -> float:
        """Lambda of Eq. 1 after this step."""
        options = self.config.distill
        start = options.ema_start or schedule.ema_start(self.episodes)
        return schedule.ema_coefficient(step, steps=self.steps, start=start, kind=options.ema)


def default_interval(episodes: int) -> int:
    """Episodes between two validations of a run of so many, where nothing else is said."""
    return max(50, episodes // 60)


def training_plan(config: Config, world: World) -> TrainingPlan:
    """The plan of ``config`` on this many ranks. Raises `UserError` where they do not fit."""
    per_step = config.training.episodes_per_step or world.size
    if per_step % world.size:
        raise UserError(
            f"training.episodes_per_step = {per_step} cannot be shared out equally among "
            f"{world.size} ranks; use a multiple of {world.size}, or a divisor of {per_step} ranks"
        )
    steps = math.ceil(config.training.episodes / per_step)
    # Written down, so that a resume on other ranks or another device takes the same steps.
    chosen = {
        "training.episodes_per_step": per_step,
        "training.precision": resolve_precision(config.training.precision, world.device),
    }
    config = replace(config, list(chosen.items()))
    return TrainingPlan(config, per_step, per_step // world.size, steps)


def training_episodes(plan: TrainingPlan, store: Store | FeatureStore) -> EpisodeSampler:
    """All episodes of a run, from the training classes."""
    config = plan.config
    views: dict[PairMode, SecondView] = {"CS": "none", "SS": "support", "QS": "query"}
    return EpisodeSampler(
        videos=store.classes("train"),
        way=config.episode.way,
        shot=config.episode.shot,
        queries=config.episode.queries,
        length=plan.episodes,
        seed=config.training.seed,
        frames=config.data.frames,
        training=True,
        second=views[config.distill.ce_pairs] if config.distill.ce else "none",
        jitter=config.data.jitter,
        flip=config.data.flip,
        source=f"the training classes of {store.path}",
    )


def share(sampler: EpisodeSampler, *, done: int, world: World) -> Iterator[Episode]:
    """The episodes of this rank after the first ``done``: every ``world.size``-th of all."""
    return (sampler[index] for index in range(done + world.rank, len(sampler), world.size))
