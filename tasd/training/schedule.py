"""Learning rate and EMA coefficient as functions of the step, so that nothing has to be saved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tasd.config import DistillOptions


def warmup_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Return the factor of the learning rate: linear to 1 over ``warmup`` steps, cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def steps_down(step: int, *, steps: int, warmup: int, at: Sequence[float], factor: float) -> float:
    """Return the factor of the learning rate: ``factor`` at each fraction of ``at`` passed.

    The rise over the first ``warmup`` steps is linear.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * factor ** sum(step >= fraction * steps for fraction in at)


@dataclass(frozen=True)
class Pace:
    """The distillation in one step: a factor on its weights, and the teacher's temperature.

    temperature: None for that of the options.
    """

    share: float = 1.0
    temperature: float | None = None


WARM = 0.3  # part of a run in which the teacher's temperature moves; 30 of DINO's 100 epochs


def pace(step: int, *, steps: int, options: DistillOptions) -> Pace:
    """Return the pace of the distillation in the step after ``step`` of ``steps``."""
    share = 1.0 if step >= options.start * steps else 0.0
    first, last = options.teacher_temperature_start, options.teacher_temperature
    if first is None:
        return Pace(share)
    return Pace(share, first + (last - first) * min(1.0, step / max(1.0, WARM * steps)))


def ema_start(episodes: int) -> float:
    """Return the default lambda of Eq. 1 at the start of a run.

    DINO's 0.004 for long runs. A short run takes more: its teacher would otherwise end with the
    initial weights.
    """
    return min(0.1, max(0.004, 20 / episodes))


def ema_coefficient(step: int, *, steps: int, start: float, kind: str) -> float:
    """Return lambda of Eq. 1 after ``step``: ``start`` throughout, or down a cosine to 0."""
    if kind == "constant":
        return start
    return start * 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))
