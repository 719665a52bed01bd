"""What is said of a list of predictions: means, intervals, differences, tables. numpy alone.

Three different questions have three different intervals:

- Which episodes happened to be drawn? `episode_interval`. It shrinks with more episodes and says
  nothing of other videos, other classes or another training run.
- Would other classes and videos of the same kind give the same number? `bootstrap_interval`.
- Would training again give it? `over_seeds`, over the results of several training runs.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float, Int

NORMAL = NormalDist()
Z95 = NORMAL.inv_cdf(0.975)


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval, both as fractions."""

    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half the interval's width, the number behind the +-."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Paired:
    """Two methods on the same episodes: second minus first.

    better, worse, equal: episodes in which the second did better, worse, the same.
    p_value: two-sided sign test on better against worse.
    """

    difference: Interval
    better: int
    worse: int
    equal: int
    p_value: float


@dataclass(frozen=True)
class Confusion:
    """counts[i, j]: queries of class i called j; offered[i, j]: how often j was a choice for i."""

    counts: Int[np.ndarray, "classes classes"]
    offered: Int[np.ndarray, "classes classes"]


def episode_accuracy(correct: Bool[np.ndarray, "episodes query"]) -> Float[np.ndarray, " episodes"]:
    """The share of right answers in each episode."""
    return np.asarray(correct.mean(axis=1, dtype=np.float64))


def episode_interval(accuracies: Float[np.ndarray, " episodes"]) -> Interval:
    """Mean over episodes; normal approximation to the sampling of episodes alone."""
    return _interval(accuracies, Z95)


def over_seeds(results: Float[np.ndarray, " seeds"]) -> Interval:
    """Mean over independent repetitions; Student's t, since there are few of them."""
    if len(results) < 2:
        return _interval(results, math.nan)
    return _interval(results, t_quantile(0.975, len(results) - 1))


def _interval(values: Float[np.ndarray, " values"], quantile: float) -> Interval:
    mean = float(values.mean())
    if len(values) < 2:  # one number has no spread to judge by
        return Interval(mean, math.nan, math.nan)
    half = quantile * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def paired_difference(
    first: Float[np.ndarray, " episodes"], second: Float[np.ndarray, " episodes"]
) -> Paired:
    """Second minus first, episode by episode: what the episodes share cancels out."""
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
    """The exact two-sided probability of a split as uneven as this one if both were as good."""
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
    """The share of right answers among the queries of each class; nan where there was none."""
    asked = np.bincount(truth.ravel(), minlength=classes)
    right = np.bincount(truth.ravel(), weights=correct.ravel(), minlength=classes)
    return np.asarray(np.where(asked > 0, right / np.maximum(asked, 1), np.nan))


def confusion(
    truth: Int[np.ndarray, "episodes query"],
    predicted: Int[np.ndarray, "episodes query"],
    offered: Int[np.ndarray, "episodes way"],
    *,
    classes: int,
) -> Confusion:
    """Who is taken for whom. A class can only be chosen where its episode offers it."""
    way = offered.shape[1]
    faced = np.repeat(truth[:, :, None], way, axis=2)
    choices = np.repeat(offered[:, None, :], truth.shape[1], axis=1)
    return Confusion(_tally(truth, predicted, classes), _tally(faced, choices, classes))


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
    """The 95 % interval if the units that episodes are made of had been drawn anew.

    members: the units in each episode, indices into ``group``. For classes ``group`` is all zero
        and ``together`` the way; each class stands for all that hangs on it, its videos too. For
        other videos of the same classes ``group`` is the class of each video and ``together``
        the number of an episode's videos that are of one class.

    Units are drawn with replacement within their group. What a unit does to the mean accuracy,
    in whatever role, is taken to first order from the episodes it takes part in (the jackknife's
    pseudo-values of a U-statistic), so that no episode is scored again. What the finite number of
    episodes adds to these effects is taken out of them, and counted once. Ends at nan where an
    episode takes all the units of a group: then nothing is known of others.
    """
    mean = float(accuracies.mean())
    effects = _effects(accuracies, members, group)
    if (effects.size <= together).any():
        return Interval(mean, math.nan, math.nan)
    random = np.random.Generator(np.random.PCG64(seed))
    noise = float(accuracies.std(ddof=1)) / math.sqrt(len(accuracies))
    draws = mean + noise * random.standard_normal(repeats)
    # Drawing `together` of n without replacement hides a part of each effect; a bootstrap of n
    # units is too narrow by (n - 1) / n.
    size = effects.size
    scale = (size - 1) / (size - together) * np.sqrt(size / (size - 1))
    for label in np.unique(effects.group):
        own = effects.group == label
        count = int(own.sum())
        times = random.multinomial(count, np.full(count, 1 / count), repeats)
        draws += (times - 1) @ (scale * effects.share * effects.value)[own]
    freedom = len(size) - len(np.unique(effects.group))
    tail = NORMAL.cdf(-t_quantile(0.975, freedom))  # few units: percentiles further out
    low, high = np.quantile(draws, [tail, 1 - tail]).clip(0, 1)
    return Interval(mean, float(low), float(high))


@dataclass(frozen=True)
class _Effects:
    """Of each unit seen: its effect on accuracy, its share of the episodes, its group's size."""

    value: Float[np.ndarray, " units"]
    share: Float[np.ndarray, " units"]
    group: Int[np.ndarray, " units"]
    size: Int[np.ndarray, " units"]


def _effects(
    accuracies: Float[np.ndarray, " episodes"],
    members: Int[np.ndarray, "episodes members"],
    group: Int[np.ndarray, " units"],
) -> _Effects:
    """A unit's effect: mean accuracy of its episodes less that of its group's, noise removed."""
    weights = np.repeat(accuracies, members.shape[1])
    times = np.bincount(members.ravel(), minlength=len(group))
    total = np.bincount(members.ravel(), weights=weights, minlength=len(group))
    seen = times > 0
    times, total, group = times[seen], total[seen], group[seen]
    group_times, group_total = np.bincount(group, times)[group], np.bincount(group, total)[group]
    value = total / times - group_total / group_times
    spread = float((value**2).mean())
    noise = float((accuracies.var() * (1 / times - 1 / group_times)).mean())
    # The spread of n effects is known to a relative sqrt(2/n): two of that are left, to err wide.
    sure = max(0.0, 1 - 2 * math.sqrt(2 / len(value)))
    value *= math.sqrt(max(0.0, 1 - sure * noise / spread)) if spread else 0.0
    return _Effects(value, times / len(accuracies), group, np.bincount(group)[group])


def t_quantile(level: float, freedom: int) -> float:
    """Student's t: exact for 1 and 2 degrees of freedom, else to 0.2 % (Cornish and Fisher)."""
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
