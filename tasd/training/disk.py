"""The disk that the checkpoints of a run will take, before it begins."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tasd.errors import UserError
from tasd.runs.checkpoint import Best, Progress
from tasd.runs.size import checkpoint_file_bytes
from tasd.training.plan import SECONDS_BETWEEN_SAVES, TrainingPlan
from tasd.training.rehearsed import Disk
from tasd.training.state import State, most_bytes


def refuse_unwritable(path: Path) -> None:
    """Raise `UserError` where a new folder could not be made, or one that is there not written."""
    there = nearest(path)
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{there} cannot be written by you; choose another place with --out")


def nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def moments(plan: TrainingPlan, now: Progress) -> Iterator[Progress]:
    """Yield the progress after each step to come."""
    while now.episode < plan.episodes:
        now = replace(now, episode=now.episode + plan.per_step, step=now.step + 1)
        yield now


def checkpoint_disk(
    state: State,
    plan: TrainingPlan,
    folder: Path,
    validated: Sequence[Progress],
    *,
    each_step: float,
    untrained: bool,
) -> Disk:
    """Return the bytes of the checkpoints, with notes as at the end of the run.

    validated: the moments of validation. each_step: seconds. untrained: the network before
    training is saved as the best so far.
    """
    saved = state.checkpoint(replace(validated[-1], best=Best(plan.episodes, 1 / 3, "student")))
    last, best = checkpoint_file_bytes(saved), checkpoint_file_bytes(saved.light())
    whole = _whole_at_end(plan, validated, each_step=each_step, untrained=untrained)
    begun = {**state.optimiser.state_dict(), "state": {}}  # before the first step it has no moments
    at_start = checkpoint_file_bytes(replace(saved, optimiser=begun))
    return Disk(
        last=last,
        best=best,
        most=most_bytes(last, best, kept=plan.kept),
        end=sum(last if episode else at_start for episode in whole) + best,
        free=shutil.disk_usage(nearest(folder)).free,
    )


def _whole_at_end(
    plan: TrainingPlan, validated: Sequence[Progress], *, each_step: float, untrained: bool
) -> set[int]:
    """Return the episodes of the whole checkpoints that are there at the end, each once.

    last.pt is of the last one. previous.pt is of the save before it, the same file as the one that
    was kept then; -1 stands for a save between validations.
    """
    every = plan.training.checkpoint_every
    start = [0] if untrained or every is not None else []
    saves = start + [at.episode for at in validated]
    kept = {at.episode for at in validated if plan.keep_due(at)} | ({0} if every else set())
    steps = validated[-1].step - (validated[-2].step if len(validated) > 1 else 0)
    between = plan.training.save_every
    if (
        steps * each_step > SECONDS_BETWEEN_SAVES
        if between is None
        else steps * plan.per_step > between
    ):
        return kept | {saves[-1], -1}
    return kept | set(saves[-2:])
