"""Everything that training changes, its way into a checkpoint and back, and when it is saved."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from tasd.config import Config
from tasd.errors import UserError
from tasd.model import Model
from tasd.runs.changes import changes
from tasd.runs.checkpoint import Checkpoint, Progress, fill
from tasd.runs.folder import Run
from tasd.store import VideoSource
from tasd.training.learner import Learner
from tasd.training.plan import TrainingPlan
from tasd.training.teacher import Teacher


@dataclass(frozen=True)
class State:
    """Both networks and the optimiser of a run on a store."""

    config: Config
    store: VideoSource
    learner: Learner
    teacher: Teacher | None
    optimiser: torch.optim.Optimizer

    @property
    def networks(self) -> dict[str, Model]:
        """The networks to validate, by name."""
        found: dict[str, Model] = {"student": self.learner.student}
        return found | ({"teacher": self.teacher.model} if self.teacher is not None else {})

    def save(self, run: Run, now: Progress, *, better: bool, keep: bool) -> None:
        """Write last.pt; also best.pt where this is the best, episode-N.pt where it is kept."""
        checkpoint = Checkpoint(
            config=self.config,
            progress=now,
            classes=tuple(self.learner.class_index),
            dataset=self.store.dataset,
            store_hash=self.store.hash,
            learner=self.learner.state_dict(),
            teacher=None if self.teacher is None else self.teacher.state_dict(),
            optimiser=self.optimiser.state_dict(),
        )
        names = [run.best] if better else []
        names += [run.checkpoints / f"episode-{now.episode:06d}.pt"] if keep else []
        run.sync_metrics()  # first: no checkpoint is ever ahead of its lines
        checkpoint.save(run.last, keep_previous=True, also=names)

    def restore(self, checkpoint: Checkpoint, *, source: Path | None) -> Progress:
        """Load everything from a checkpoint of this run. Raises `UserError`."""
        if checkpoint.store_hash != self.store.hash:
            raise UserError(
                f"{source} was trained on another store (hash {checkpoint.store_hash[:12]}, "
                f"{self.store.path} has {self.store.hash[:12]}); give the --store it was trained on"
            )
        if checkpoint.config != self.config:
            change = next(changes(checkpoint.config, self.config))
            raise UserError(
                f"{source}: {change.setting} was {change.before!r} and is {change.after!r}; resume "
                "without changes, or start a new run"
            )
        fill(self.learner, checkpoint.learner, source=str(source))
        if self.teacher is not None:
            fill(self.teacher, checkpoint.teacher or {}, source=str(source))
        self.optimiser.load_state_dict(checkpoint.optimiser)
        return checkpoint.progress


class Saver:
    """Writes the checkpoints of a run when its plan says so; on the first rank alone."""

    def __init__(self, state: State, run: Run, plan: TrainingPlan, *, writes: bool) -> None:
        self._state, self._run, self._plan, self._writes = state, run, plan, writes
        self._last = time.monotonic()

    def due(self, now: Progress) -> bool:
        """True where last.pt is to be written between validations."""
        return self._plan.save_due(now, seconds=time.monotonic() - self._last)

    def __call__(self, now: Progress, *, better: bool = False, keep: bool = False) -> None:
        """Write last.pt, and the others as `State.save` says."""
        if self._writes:
            self._state.save(self._run, now, better=better, keep=keep)
        self._last = time.monotonic()

    def validated(self, now: Progress, *, better: bool) -> None:
        """Write after a validation; ``better``: it was the best so far."""
        self(now, better=better, keep=self._plan.keep_due(now))

    def untrained(self, now: Progress) -> None:
        """Write the network before training, where checkpoints are kept at an interval."""
        if self._plan.training.checkpoint_every is not None:
            self(now, keep=True)
