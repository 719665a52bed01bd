"""Intervals cover what they say they cover; counts agree with plain loops."""

import math
from collections import Counter

import numpy as np
import pytest

from tasd.evaluation import metrics
from tasd.evaluation.bootstrap import bootstrap_interval

# Of 1,000 simulated intervals 95 % +- 2 % cover; a true 95 % strays further once in 270 times.
SIMULATIONS = 1000


def test_the_interval_over_episodes_covers_the_mean_of_all_episodes():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(SIMULATIONS):
        right = random.binomial(5, 0.72, 400) / 5
        interval = metrics.episode_interval(right)
        hits += interval.low <= 0.72 <= interval.high
    assert 0.93 <= hits / SIMULATIONS <= 0.97


def test_the_interval_over_seeds_covers_with_three_runs():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(SIMULATIONS):
        interval = metrics.over_seeds(random.normal(0.7, 0.01, 3))
        hits += interval.low <= 0.7 <= interval.high
    assert 0.93 <= hits / SIMULATIONS <= 0.97


def test_the_paired_difference_covers_although_the_episodes_are_shared():
    random = np.random.default_rng(2)
    hits, narrower = 0, 0
    for _ in range(SIMULATIONS):
        difficulty = random.normal(0, 0.15, 300)
        first = 0.70 + difficulty + random.normal(0, 0.05, 300)
        second = 0.72 + difficulty + random.normal(0, 0.05, 300)
        paired = metrics.paired_difference(first, second)
        hits += paired.difference.low <= 0.02 <= paired.difference.high
        narrower += paired.difference.half < metrics.episode_interval(second).half / 2
    assert 0.93 <= hits / SIMULATIONS <= 0.97
    assert narrower > 0.95 * SIMULATIONS


class World:
    """Classes and videos with a difficulty each; classes also confuse those beside them."""

    way, shot, queries = 5, 1, 1
    of_classes, of_videos = 0.7, 1.0

    def __init__(self, random: np.random.Generator, classes: int, videos: int):
        self.random = random
        self.own = random.normal(0, self.of_classes, classes)
        self.confuses = random.normal(0, self.of_classes, classes)
        self.video = random.normal(0, self.of_videos, (classes, videos))

    def chance(self, chosen, video):
        others = (self.confuses[chosen].sum(1, keepdims=True) - self.confuses[chosen]) / 4
        return 1 / (1 + np.exp(-(1.0 + self.own[chosen] + video + others)))

    def episodes(self, count: int):
        classes, videos = self.video.shape
        chosen = np.argsort(self.random.random((count, classes)), 1)[:, : self.way]
        drawn = np.argsort(self.random.random((count, self.way, videos)), 2)[:, :, :2]
        chance = self.chance(chosen, self.video[chosen[:, :, None], drawn].mean(2))
        accuracy = (self.random.random(chance.shape) < chance).mean(1)
        members = (chosen[:, :, None] * videos + drawn).reshape(count, -1)
        return accuracy, chosen, members

    def expected_with_other_videos(self) -> float:
        chosen = np.argsort(self.random.random((20_000, len(self.own))), 1)[:, : self.way]
        other = self.random.normal(0, self.of_videos / math.sqrt(2), chosen.shape)
        return float(self.chance(chosen, other).mean())


def expected_with_other_classes() -> float:
    random = np.random.default_rng(9)
    spread = math.sqrt(0.7**2 + 1.0**2 / 2 + 0.7**2 / 4)
    return float((1 / (1 + np.exp(-random.normal(1.0, spread, 1_000_000)))).mean())


def test_the_bootstrap_over_classes_covers_what_other_classes_would_give():
    random, truth = np.random.default_rng(3), expected_with_other_classes()
    hits, naive = 0, 0
    for i in range(SIMULATIONS):
        accuracy, chosen, _ = World(random, 24, 20).episodes(1000)
        classes = np.zeros(24, np.int64)
        interval = bootstrap_interval(accuracy, chosen, classes, together=5, seed=i)
        hits += interval.low <= truth <= interval.high
        episodes = metrics.episode_interval(accuracy)
        naive += episodes.low <= truth <= episodes.high
    assert 0.93 <= hits / SIMULATIONS <= 0.97
    # The interval that papers print says nothing of other classes.
    assert naive / SIMULATIONS < 0.4


def test_the_bootstrap_over_videos_covers_what_other_videos_would_give():
    random = np.random.default_rng(4)
    hits = 0
    for i in range(300):
        world = World(random, 10, 12)
        accuracy, _, members = world.episodes(2000)
        interval = bootstrap_interval(
            accuracy, members, np.repeat(np.arange(10), 12), together=2, seed=i, repeats=400
        )
        hits += interval.low <= world.expected_with_other_videos() <= interval.high
    assert 0.93 <= hits / 300 <= 0.97


def test_an_episode_that_takes_all_classes_says_nothing_of_others():
    accuracy, chosen, members = World(np.random.default_rng(5), 5, 4).episodes(50)
    interval = bootstrap_interval(accuracy, chosen, np.zeros(5, np.int64), together=5)
    assert math.isnan(interval.low)
    assert interval.mean == pytest.approx(accuracy.mean())
    group = np.repeat(np.arange(5), 4)
    assert math.isnan(bootstrap_interval(accuracy, members, group, together=4).low)


def test_the_bootstrap_is_a_function_of_its_seed():
    accuracy, chosen, _ = World(np.random.default_rng(6), 8, 4).episodes(200)
    once, again, other = (
        bootstrap_interval(accuracy, chosen, np.zeros(8, np.int64), together=5, seed=seed)
        for seed in (1, 1, 2)
    )
    assert once == again != other


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (23, 2.0687), (500, 1.9647)],
)
def test_student_quantiles_agree_with_the_tables(freedom, quantile):
    assert metrics.t_quantile(0.975, freedom) == pytest.approx(quantile, rel=2e-3)
    assert metrics.t_quantile(0.025, freedom) == pytest.approx(-quantile, rel=2e-3)


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (1, 0), (5, 5), (3, 9), (14, 2), (40, 61)])
def test_the_sign_test_counts_all_splits_as_uneven(better, worse):
    total = better + worse
    as_uneven = sum(
        math.comb(total, k) for k in range(total + 1) if abs(2 * k - total) >= abs(better - worse)
    )
    assert metrics.sign_test(better, worse) == pytest.approx(as_uneven / 2**total)


def test_the_sign_test_stands_ten_thousand_episodes():
    assert metrics.sign_test(5000, 5000) == pytest.approx(1.0)
    assert 0 < metrics.sign_test(5200, 4800) < 1e-4
    assert metrics.sign_test(10_000, 0) == 0.0  # below the smallest number there is


def test_a_paired_difference_counts_better_worse_and_equal():
    paired = metrics.paired_difference(
        np.array([0.2, 0.4, 0.6, 0.8]), np.array([0.4, 0.4, 0.4, 1.0])
    )
    assert (paired.better, paired.worse, paired.equal) == (2, 1, 1)
    assert paired.difference.mean == pytest.approx(0.05)
    assert paired.p_value == 1.0


def test_one_number_has_no_interval():
    assert math.isnan(metrics.episode_interval(np.array([0.5])).low)
    assert math.isnan(metrics.over_seeds(np.array([0.5])).half)


def some_predictions():
    random = np.random.default_rng(8)
    offered = np.argsort(random.random((60, 7)), 1)[:, :3]
    truth = np.repeat(offered, 2, axis=1)
    predicted = np.take_along_axis(offered, random.integers(0, 3, (60, 6)), 1)
    return offered, truth, predicted


def test_confusion_and_per_class_accuracy_agree_with_counting_one_by_one():
    offered, truth, predicted = some_predictions()
    counted, faced = Counter(), Counter()
    for e in range(60):
        for q in range(6):
            counted[truth[e, q], predicted[e, q]] += 1
            for choice in offered[e]:
                faced[truth[e, q], choice] += 1
    confusion = metrics.confusion(truth, predicted, offered, classes=8)
    for i in range(8):
        for j in range(8):
            assert confusion.counts[i, j] == counted[i, j]
            assert confusion.offered[i, j] == faced[i, j]
    per_class = metrics.per_class_accuracy(truth, truth == predicted, classes=8)
    for i in range(7):
        asked = sum(count for (t, _), count in counted.items() if t == i)
        assert per_class[i] == pytest.approx(counted[i, i] / asked)
    assert math.isnan(per_class[7])  # a class that no episode held


def test_the_accuracy_of_an_episode_is_its_share_of_right_answers():
    correct = np.array([[True, False], [True, True]])
    assert metrics.episode_accuracy(correct).tolist() == [0.5, 1.0]
