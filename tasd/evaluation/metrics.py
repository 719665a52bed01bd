"""Statistics of predictions: means, intervals, differences, counts. Needs numpy alone.

Three intervals answer three questions:

- `episode_interval`: would other episodes of the same videos give the same accuracy? It shrinks
  with more episodes and says nothing about other videos, other classes or other training runs.
- `tasd.evaluation.bootstrap`: would other classes, or other videos, of the same kind give it?
- `over_seeds`: would training again give it? Needs the results of several training runs.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

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


@dataclass(frozen=True)
class Spread:
    """Number, mean and variance of some values; the variance divides by the number."""

    count: int
    mean: float
    variance: float

    @classmethod
    def of(cls, values: Float[np.ndarray, " values"]) -> "Spread":
        """Return the spread of ``values``."""
        return cls(len(values), float(values.mean()), float(values.var()))

    @classmethod
    def of_shares(cls, times: Int[np.ndarray, " numbers"], *, first: int, whole: int) -> "Spread":
        """Return the spread of shares n / whole; ``times[i]``: how often n is ``first + i``.

        Whole numbers are added, so that the result does not depend on an order.
        """
        numbers = [first + place for place in range(len(times))]
        often = times.tolist()
        count = sum(often)
        total = sum(t * n for t, n in zip(often, numbers, strict=True))
        squares = sum(t * n * n for t, n in zip(often, numbers, strict=True))
        variance = (squares * count - total * total) / (count * whole) ** 2
        return cls(count, total / (count * whole), variance)

    @property
    def error(self) -> float:
        """The standard error of the mean; nan for one value, which has no spread."""
        if self.count < 2:
            return math.nan
        return math.sqrt(self.variance / (self.count - 1))

    @property
    def interval(self) -> Interval:
        """Mean and 95 % interval by the normal approximation."""
        half = Z95 * self.error
        return Interval(self.mean, self.mean - half, self.mean + half)


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


def paired_counts(
    first: Integer[np.ndarray, " episodes"],
    second: Integer[np.ndarray, " episodes"],
    *,
    queries: int,
) -> Paired:
    """Compute `paired_difference` of two methods from their right answers in each episode.

    queries: in an episode, of all classes. Memory does not grow with the episodes.
    """
    times = np.zeros(2 * queries + 1, np.int64)  # of the gains from -queries on
    for start in range(0, len(first), COUNTED):
        part = slice(start, start + COUNTED)
        gain = second[part].astype(np.int64) - first[part]
        times += np.bincount(gain + queries, minlength=len(times))
    worse, equal, better = (
        int(some.sum()) for some in (times[:queries], times[queries], times[queries + 1 :])
    )
    spread = Spread.of_shares(times, first=-queries, whole=queries)
    return Paired(spread.interval, better, worse, equal, sign_test(better, worse))


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
