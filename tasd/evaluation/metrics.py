"""Statistics of predictions: means, intervals, differences, counts. Needs numpy alone.

Three intervals answer three questions:

- `episode_interval`: would other episodes of the same videos give the same accuracy? It shrinks
  with more episodes and says nothing about other videos, other classes or other training runs.
- `bootstrap_interval`: would other classes, or other videos, of the same kind give it?
- `over_seeds`: would training again give it? Needs the results of several training runs.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float, Int

NORMAL = NormalDist()
COUNTED = 1 << 14  # episodes whose predictions are counted at a time
Z95 = NORMAL.inv_cdf(0.975)


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval, both as fractions."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half the width of the interval, the number after the ±."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Paired:
    """The paired difference of two methods on the same episodes, second minus first.

    better, worse, equal: numbers of episodes in which the second was better, worse, the same.
    p_value: of the two-sided sign test on better against worse.
    """

    difference: Interval
    better: int
    worse: int
    equal: int
    p_value: float


@dataclass(frozen=True)
class Confusion:
    """Counts of true and predicted classes.

    counts[i, j]: queries of class i that were predicted as j. offered[i, j]: queries of class i
    in whose episode j was a choice.
    """

    counts: Int[np.ndarray, "classes classes"]
    offered: Int[np.ndarray, "classes classes"]


def episode_accuracy(correct: Bool[np.ndarray, "episodes query"]) -> Float[np.ndarray, " episodes"]:
    """Return the share of right predictions in each episode."""
    return np.asarray(correct.mean(axis=1, dtype=np.float64))


def episode_interval(accuracies: Float[np.ndarray, " episodes"]) -> Interval:
    """Compute mean and interval over episodes, by the normal approximation."""
    return _interval(accuracies, Z95)


def over_seeds(results: Float[np.ndarray, " seeds"]) -> Interval:
    """Compute mean and interval over independent repetitions, by Student's t."""
    if len(results) < 2:
        return _interval(results, math.nan)
    return _interval(results, t_quantile(0.975, len(results) - 1))


def _interval(values: Float[np.ndarray, " values"], quantile: float) -> Interval:
    mean = float(values.mean())
    if len(values) < 2:  # one value has no spread
        return Interval(mean, math.nan, math.nan)
    half = quantile * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def paired_difference(
    first: Float[np.ndarray, " episodes"], second: Float[np.ndarray, " episodes"]
) -> Paired:
    """Compute second minus first in each episode, so that the episodes' difficulty cancels out."""
    gain = second - first
    better, worse = int((gain > 0).sum()), int((gain < 0).sum())
    return Paired(
        difference=episode_interval(gain),
        better=better,
        worse=worse,
        equal=len(gain) - better - worse,
        p_value=sign_test(better, worse),
    )


def sign_test(better: int, worse: int) -> float:
    """Return the p-value of the exact two-sided sign test."""
    total, fewer = better + worse, min(better, worse)
    if total == 0:
        return 1.0
    logs = [_log_choose(total, k) - total * math.log(2) for k in range(fewer + 1)]
    return min(1.0, 2 * math.fsum(math.exp(value) for value in logs))


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def per_class_accuracy(
    truth: Int[np.ndarray, "episodes query"],
    correct: Bool[np.ndarray, "episodes query"],
    *,
    classes: int,
) -> Float[np.ndarray, " classes"]:
    """Return the share of right predictions for each class; nan where it has no query."""
    queries = np.bincount(truth.ravel(), minlength=classes)
    right = np.bincount(truth.ravel(), weights=correct.ravel(), minlength=classes)
    return np.asarray(np.where(queries > 0, right / np.maximum(queries, 1), np.nan))


def confusion(
    truth: Int[np.ndarray, "episodes query"],
    predicted: Int[np.ndarray, "episodes query"],
    offered: Int[np.ndarray, "episodes way"],
    *,
    classes: int,
) -> Confusion:
    """Count the predictions for each true class, and how often each class was a choice."""
    counts, choices = (np.zeros((classes, classes), np.int64) for _ in range(2))
    for start in range(0, len(truth), COUNTED):
        part = slice(start, start + COUNTED)
        true, choice = np.broadcast_arrays(truth[part, :, None], offered[part, None, :])
        counts += _tally(truth[part], predicted[part], classes)
        choices += _tally(true, choice, classes)
    return Confusion(counts, choices)


def _tally(
    row: Int[np.ndarray, "..."], column: Int[np.ndarray, "..."], classes: int
) -> Int[np.ndarray, "classes classes"]:
    flat = np.bincount((row * classes + column).ravel(), minlength=classes * classes)
    return flat.reshape(classes, classes)


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
    mean = float(accuracies.mean())
    effects = _effects(accuracies, members, group)
    if (effects.size <= together).any():
        return Interval(mean, math.nan, math.nan)
    random = np.random.Generator(np.random.PCG64(seed))
    noise = float(accuracies.std(ddof=1)) / math.sqrt(len(accuracies))
    draws = mean + noise * random.standard_normal(repeats)
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


def _effects(
    accuracies: Float[np.ndarray, " episodes"],
    members: Int[np.ndarray, "episodes members"],
    group: Int[np.ndarray, " units"],
) -> _Effects:
    """Compute effects: mean accuracy of a unit's episodes minus its group's, noise removed."""
    weights = np.repeat(accuracies, members.shape[1])
    times = np.bincount(members.ravel(), minlength=len(group))
    total = np.bincount(members.ravel(), weights=weights, minlength=len(group))
    seen = times > 0
    times, total, group = times[seen], total[seen], group[seen]
    group_times, group_total = np.bincount(group, times)[group], np.bincount(group, total)[group]
    value = total / times - group_total / group_times
    spread = float((value**2).mean())
    noise = float((accuracies.var() * (1 / times - 1 / group_times)).mean())
    # The variance of n effects has a relative error of sqrt(2/n). Twice that share of the noise
    # stays in, so that the interval is rather too wide than too narrow.
    sure = max(0.0, 1 - 2 * math.sqrt(2 / len(value)))
    value *= math.sqrt(max(0.0, 1 - sure * noise / spread)) if spread else 0.0
    return _Effects(value, times / len(accuracies), group, np.bincount(group)[group])


def t_quantile(level: float, freedom: int) -> float:
    """Return a quantile of Student's t: exact for freedom 1 and 2, else to 0.2 %.

    After Cornish and Fisher.
    """
    if freedom == 1:
        return math.tan(math.pi * (level - 0.5))
    if freedom == 2:
        return (2 * level - 1) / math.sqrt(2 * level * (1 - level))
    z = NORMAL.inv_cdf(level)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))
