"""Evaluation of many episodes: work in parts, so that little memory is taken for each episode."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from tasd.bench.evaluate import random_features
from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.evaluation import metrics, parallel, score
from tasd.evaluation.results import summary
from tasd.matchers import build


@pytest.fixture(scope="module")
def features():
    return random_features(8, videos_each=4)


def evaluated(features, count: int):
    """Scores of episodes that are drawn in one go, not each by its own generator."""
    drawn = EpisodeTable.draw(EpisodeSampler(features.classes("test"), 5, 1, 1, 10, seed=0))
    random = np.random.default_rng(0)
    chosen = random.permuted(np.tile(np.arange(24), (count, 1)), axis=1)[:, :5]
    videos = 4 * chosen[:, :, None] + np.arange(2)
    table = replace(drawn, support=videos[:, :, :1], query=videos[:, :, 1:])
    result = score.score(features, table, build("otam", 8))
    return result, summary(result)


def test_an_episode_takes_less_than_700_bytes(features):
    """Ten videos and 25 scores are 180 bytes."""
    evaluated(features, 100)  # what stays from the first time
    peaks = []
    for count in (17_000, 51_000):
        tracemalloc.start()
        try:
            evaluated(features, count)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 34_000 < 700


def test_the_result_does_not_depend_on_the_size_of_the_parts(features, monkeypatch):
    result, found = evaluated(features, 50)
    monkeypatch.setattr(score, "LOOKED_UP", 7)
    monkeypatch.setattr(metrics, "COUNTED", 7)
    again, other = evaluated(features, 50)
    np.testing.assert_array_equal(result.logits, again.logits)
    np.testing.assert_array_equal(found.confusion.counts, other.confusion.counts)
    np.testing.assert_array_equal(found.confusion.offered, other.confusion.offered)
    assert found.confusion.offered.sum() == 50 * 5 * 5
    assert found.confusion.counts.sum() == 50 * 5


def test_only_so_many_items_wait_for_a_core_at_a_time(monkeypatch):
    waiting = []

    class Pool(parallel.ThreadPoolExecutor):
        def map(self, work, items):
            waiting.append(len(items))
            return super().map(work, items)

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(parallel, "WAITING", 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    found = parallel.side_by_side(lambda i: -i, range(40), device=torch.device("cpu"))
    assert found == [-i for i in range(40)]
    assert waiting == [16, 16, 8]
