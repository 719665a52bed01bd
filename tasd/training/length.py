"""Another length for a run that is resumed, and what that changes in its schedules."""

from collections.abc import Iterator
from pathlib import Path

from tasd.config import Config
from tasd.errors import UserError
from tasd.recipes.settings import replace
from tasd.registry import OPTIONS
from tasd.runs.checkpoint import Progress
from tasd.training.plan import TrainingPlan, default_interval


def with_length(config: Config, episodes: int, now: Progress, *, source: Path) -> Config:
    """Return the config of a run that ends after ``episodes``. Raises `UserError`."""
    changed = replace(config, [(OPTIONS["training.episodes"], episodes)])
    if episodes <= now.episode:
        raise UserError(
            f"--episodes {episodes} is not more than the {now.episode:,} episodes that {source} "
            f"has done; give more, or --resume an earlier checkpoint of the run"
        )
    return changed


def length_changes(before: Config, after: Config, now: Progress) -> list[str]:
    """Say what another number of episodes changes from ``now`` on; empty for the same number.

    Both configs are those of one run, which `tasd.training.plan.resolve` returned.
    """
    old, new = _plan(before), _plan(after)
    if old.episodes == new.episodes:
        return []
    return [
        f"{new.episodes:,} episodes in place of {old.episodes:,}; from episode {now.episode:,} on "
        "this is not the run that would have had this length from its start:",
        *(f"  {line}" for line in _lines(old, new, now)),
    ]


def _lines(old: TrainingPlan, new: TrainingPlan, now: Progress) -> Iterator[str]:
    rate = new.optimiser.lr
    kind, was, becomes = new.optimiser.schedule, rate * old.rate(now), rate * new.rate(now)
    if kind == "constant":
        yield f"the learning rate stays {rate:.3g}"
    elif kind == "step":
        at = [part * new.episodes for part in new.optimiser.step_at]
        falls = ", ".join(f"{episode:,.0f}" for episode in at if episode > now.episode)
        yield (
            f"the learning rate goes from {_shown(was)} to {_shown(becomes)}"
            + (f", and falls at episode {falls}" if falls else ", and falls no more")
        )
    else:
        yield (
            f"the learning rate goes from {_shown(was)} to {_shown(becomes)}, and down the cosine "
            f"to 0 at episode {new.episodes:,} (was {old.episodes:,})"
        )
    if new.distill.weights:
        yield (
            f"lambda of Eq. 1 goes from {_shown(old.ema(now))} to "
            f"{_shown(new.ema(now))} ({new.distill.ema})"
        )
    before, after = default_interval(old.episodes), default_interval(new.episodes)
    if new.training.validation_every is None and before != after:
        yield f"validation is every {after:,} episodes (was {before:,})"


def _shown(value: float) -> str:
    """Three digits; the end of a cosine is 0 but for rounding."""
    return f"{value:.3g}" if value > 1e-12 else "0"


def _plan(config: Config) -> TrainingPlan:
    """Return the plan of all ranks together."""
    per_step = config.training.episodes_per_step or 1
    return TrainingPlan(
        training=config.training,
        optimiser=config.optimiser,
        distill=config.distill,
        per_step=per_step,
        own=per_step,
        steps=-(-config.training.episodes // per_step),
    )
