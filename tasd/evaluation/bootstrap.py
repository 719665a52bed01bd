"""The interval over other classes, or other videos, by a bootstrap. Needs numpy alone."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Integer

from tasd.evaluation.metrics import NORMAL, Interval, Spread, t_quantile


@dataclass(frozen=True)
class Appearances:
    """For each unit, a class or a video, how often an episode has it, and their accuracies' sum."""

    times: Int[np.ndarray, " units"]
    total: Float[np.ndarray, " units"]


def appearances(
    members: Int[np.ndarray, "episodes members"],
    values: Float[np.ndarray, " episodes"] | Integer[np.ndarray, " episodes"],
    *,
    units: int,
) -> Appearances:
    """Count the units of some episodes and add up the episodes' values for each."""
    weights = np.repeat(values, members.shape[1])
    return Appearances(
        times=np.bincount(members.ravel(), minlength=units),
        total=np.bincount(members.ravel(), weights=weights, minlength=units),
    )


def bootstrap_interval(
    accuracies: Float[np.ndarray, " episodes"],
    members: Int[np.ndarray, "episodes members"],
    group: Int[np.ndarray, " units"],
    *,
    together: int,
    seed: int = 0,
    repeats: int = 1000,
) -> Interval:
    """Compute the 95 % interval over other classes, or other videos, that episodes are made of.

    A unit is a class or a video.

    members: the units in each episode, indices into ``group``. For other classes ``group`` is
        zero for each class and ``together`` is the way; an effect of a class includes that of its
        videos. For other videos of the same classes ``group`` is the class of each video and
        ``together`` the number of videos that an episode takes of a class.

    Units are drawn with replacement within their group. The effect of a unit on the mean accuracy,
    as support or as query, is estimated to first order from its episodes (the jackknife's
    pseudo-values of a U-statistic), so that no episode is scored again. The noise that the finite
    number of episodes adds to these effects is removed from them and added once to the mean.
    Low and high are nan where an episode takes all units of a group: then the episodes give no
    information on other units.
    """
    found = appearances(members, accuracies, units=len(group))
    spread = Spread.of(accuracies)
    return bootstrap_of(spread, found, group, together=together, seed=seed, repeats=repeats)


def bootstrap_of(
    spread: Spread,
    found: Appearances,
    group: Int[np.ndarray, " units"],
    *,
    together: int,
    seed: int = 0,
    repeats: int = 1000,
) -> Interval:
    """Compute `bootstrap_interval` from the sums over all episodes that it needs."""
    mean = spread.mean
    effects = _effects(spread, found, group)
    if (effects.size <= together).any():
        return Interval(mean, math.nan, math.nan)
    random = np.random.Generator(np.random.PCG64(seed))
    draws = mean + spread.error * random.standard_normal(repeats)
    # Drawing `together` of n units without replacement hides a part of each effect, and the
    # variance of a bootstrap of n units is too small by (n - 1) / n.
    size = effects.size
    scale = (size - 1) / (size - together) * np.sqrt(size / (size - 1))
    for label in np.unique(effects.group):
        own = effects.group == label
        count = int(own.sum())
        times = random.multinomial(count, np.full(count, 1 / count), repeats)
        draws += (times - 1) @ (scale * effects.share * effects.value)[own]
    freedom = len(size) - len(np.unique(effects.group))
    tail = NORMAL.cdf(-t_quantile(0.975, freedom))  # few units: wider percentiles
    low, high = np.quantile(draws, [tail, 1 - tail]).clip(0, 1)
    return Interval(mean, float(low), float(high))


@dataclass(frozen=True)
class _Effects:
    """For each unit that occurs: effect on accuracy, share of the episodes, size of its group."""

    value: Float[np.ndarray, " units"]
    share: Float[np.ndarray, " units"]
    group: Int[np.ndarray, " units"]
    size: Int[np.ndarray, " units"]


def _effects(spread: Spread, found: Appearances, group: Int[np.ndarray, " units"]) -> _Effects:
    """Compute effects: mean accuracy of a unit's episodes minus its group's, noise removed."""
    times, total = found.times, found.total
    seen = times > 0
    times, total, group = times[seen], total[seen], group[seen]
    group_times, group_total = np.bincount(group, times)[group], np.bincount(group, total)[group]
    value = total / times - group_total / group_times
    square = float((value**2).mean())
    noise = float((spread.variance * (1 / times - 1 / group_times)).mean())
    # The variance of n effects has a relative error of sqrt(2/n). Twice that share of the noise
    # stays in, so that the interval is rather too wide than too narrow.
    sure = max(0.0, 1 - 2 * math.sqrt(2 / len(value)))
    value *= math.sqrt(max(0.0, 1 - sure * noise / square)) if square else 0.0
    return _Effects(value, times / spread.count, group, np.bincount(group)[group])
