"""Everything that training changes, its way into a checkpoint and back."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tasd.config import Config
from tasd.errors import UserError
from tasd.model import Model
from tasd.runs.changes import changes
from tasd.runs.checkpoint import Checkpoint, Progress, fill
from tasd.runs.folder import Run
from tasd.runs.repair import newest_finite
from tasd.runs.tensorfile import all_finite
from tasd.store import VideoSource
from tasd.training import optimiser
from tasd.training.learner import Learner
from tasd.training.teacher import Teacher

# Settings that a resumed run may have other than its checkpoint.
MAY_CHANGE = ("training.episodes",)


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

    def checkpoint(self, now: Progress) -> Checkpoint:
        """Return all of it as it is at ``now``; the tensors are its own, not copies."""
        return Checkpoint(
            config=self.config,
            progress=now,
            classes=tuple(self.learner.class_index),
            dataset=self.store.dataset,
            store_hash=self.store.hash,
            learner=self.learner.state_dict(),
            teacher=None if self.teacher is None else self.teacher.state_dict(),
            optimiser=self.optimiser.state_dict(),
        )

    def save_untrained(self, run: Run) -> None:
        """Write best.pt alone, of a run that has done nothing yet and will begin again."""
        self.refuse_infinite(run, Progress())
        self.checkpoint(Progress()).light().save(run.best)

    def sizes(self, run: Run, *, kept: int) -> str:
        """Say how much the checkpoints of the run will take, and how much is free there.

        kept: the number of checkpoints that are kept under their own names.
        """
        last, best = checkpoint_bytes(self.config, self.learner, self.networks)
        total = most_bytes(last, best, kept=kept)
        free = shutil.disk_usage(run.path).free
        many = f", {kept} kept ones of that size" if kept else ""
        return (
            f"checkpoints: last.pt of about {mib(last)}{many}, best.pt {mib(best)}; at most "
            f"{mib(total)} with those before them, {mib(free)} are free"
            + ("" if free > total else f"; that is too little: make room in {run.path}")
        )

    def refuse_infinite(self, run: Run, now: Progress) -> None:
        """Raise `UserError` where a weight is inf or NaN, with the newest checkpoint before it."""
        refuse_infinite(self.checkpoint(now), run)

    def restore(self, checkpoint: Checkpoint, *, source: Path | None) -> Progress:
        """Load everything from a checkpoint of this run. Raises `UserError`."""
        if checkpoint.store_hash != self.store.hash:
            raise UserError(
                f"{source} was trained on another store (hash {checkpoint.store_hash[:12]}, "
                f"{self.store.path} has {self.store.hash[:12]}); give the --store it was trained on"
            )
        different = changes(checkpoint.config, self.config)
        change = next((one for one in different if one.setting not in MAY_CHANGE), None)
        if change is not None:
            raise UserError(
                f"{source}: {change.setting} was {change.before!r} and is {change.after!r}; resume "
                "without changes, or start a new run"
            )
        if checkpoint.optimiser is None:
            raise UserError(
                f"{source} holds the networks alone, without the optimiser; --resume the run, or "
                "its last.pt or episode-*.pt"
            )
        fill(self.learner, checkpoint.learner, source=str(source))
        if self.teacher is not None:
            fill(self.teacher, checkpoint.teacher or {}, source=str(source))
        optimiser.load(self.optimiser, checkpoint.optimiser)
        return checkpoint.progress


def refuse_infinite(checkpoint: Checkpoint, run: Run) -> None:
    """Raise `UserError` where a weight is inf or NaN, with the newest checkpoint before it."""
    tensors = {**checkpoint.learner}
    tensors |= {f"teacher {k}": v for k, v in (checkpoint.teacher or {}).items()}
    name = all_finite(iter(tensors.items()))
    if name is None:
        return
    episode = checkpoint.progress.episode
    raise UserError(
        f"episode {episode}: the weight {name} is not finite, so nothing is saved here; "
        f"{newest_finite(run)}; lower optimiser.lr"
        + ("" if episode else ", or give other --weights")
    )


def checkpoint_bytes(
    config: Config, learner: Learner, networks: Mapping[str, Model]
) -> tuple[int, int]:
    """Return the bytes of last.pt and of best.pt, without their few lines of notes."""
    both = sum(_bytes(network) for network in networks.values())
    trained = sum(p.numel() * p.element_size() for p in learner.parameters() if p.requires_grad)
    options = config.optimiser
    moments = (int(options.momentum > 0) if options.name == "sgd" else 2) * trained
    heads = sum(_bytes(n.projection) + _bytes(n.relation) for n in networks.values())
    return both + _bytes(learner) - _bytes(learner.student) + moments, both - heads


def most_bytes(last: int, best: int, *, kept: int) -> int:
    """Return the most that a run's checkpoints take while it is trained.

    last, best: of one file. These are last.pt, previous.pt and the one that is being written;
    best.pt and the one before it; ``kept`` ones under their own names.
    """
    return (3 + kept) * last + 2 * best


def _bytes(module: nn.Module | None) -> int:
    """Bytes of the weights and buffers of a module."""
    values = () if module is None else module.state_dict().values()
    return sum(value.numel() * value.element_size() for value in values)


def mib(count: int) -> str:
    """Return bytes as MiB, as in "1,024 MiB"."""
    return f"{count / 2**20:,.0f} MiB" if count >= 10 * 2**20 else f"{count / 2**20:.1f} MiB"
