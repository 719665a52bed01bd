"""What training changes, and its way into a checkpoint and back."""

from dataclasses import dataclass
from pathlib import Path

import torch

from tasd.config import Config, changes
from tasd.errors import UserError
from tasd.features.store import FeatureStore
from tasd.model import Model
from tasd.runs.checkpoint import Checkpoint, Progress, fill
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.learner import Learner
from tasd.training.teacher import Teacher


@dataclass(frozen=True)
class State:
    """Both networks and the optimiser of a run on a store."""

    config: Config
    store: Store | FeatureStore
    learner: Learner
    teacher: Teacher | None
    optimiser: torch.optim.Optimizer

    @property
    def networks(self) -> dict[str, Model]:
        """What is validated."""
        found: dict[str, Model] = {"student": self.learner.student}
        return found | ({"teacher": self.teacher.model} if self.teacher is not None else {})

    def save(self, run: Run, now: Progress, *, better: bool, keep: bool) -> None:
        """Write last.pt; best.pt when this is the best, episode-N.pt when it is to be kept."""
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
        """Take everything over from a checkpoint of this very run. Raises `UserError`."""
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
