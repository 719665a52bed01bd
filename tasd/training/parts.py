"""A training step outside a run: for benchmarks, rehearsals and tests."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from tasd.config import Config
from tasd.training import optimiser
from tasd.training.distributed import World
from tasd.training.graph import Recorded, record_passes
from tasd.training.learner import Learner
from tasd.training.step import Step, StepResult
from tasd.training.teacher import Teacher
from tasd.types import EpisodeBatch


@dataclass(frozen=True)
class TrainingParts:
    """The parts of a training step as the loop has them, for the episodes of one rank.

    `tasd.training.loop` has the same two halves in full, with all that a run does between them.
    """

    config: Config
    learner: Learner
    teacher: Teacher | None
    optimiser: torch.optim.Optimizer
    step: Step
    world: World
    recorded: Recorded = field(default_factory=Recorded)

    def gradients(self, batches: Iterable[EpisodeBatch], *, norms: bool = False) -> StepResult:
        """Take the step's episodes forwards and backwards.

        norms: also compute the norm of each term's gradient, in the first episode.
        """
        for batch in batches:
            if self.recorded.replay(batch, norms=norms):
                continue
            with self.step.episode(batch):
                targets = self.teacher(batch) if self.teacher is not None else None
                losses = self.step.network(batch, targets, gradient_norms=norms)
                (losses.total / self.step.own).backward()
            self.step.add(losses, targets)
            norms = False
            del losses, targets
        return self.step.finish()

    def record(self, batch: EpisodeBatch) -> "TrainingParts":
        """Return the parts with recorded passes, where that can be done, as a run has them."""
        recorded = record_passes(self.step, self.teacher, batch, self.config)
        return replace(self, recorded=recorded)

    def update(self, result: StepResult, *, ema: float) -> None:
        """Move student and teacher; ema: the coefficient of Eq. 1."""
        optimiser.step(self.optimiser)
        self.step.update()
        if self.teacher is not None:
            self.teacher.follow(self.learner.student, coefficient=ema)
            self.teacher.recentre(result.projection)
