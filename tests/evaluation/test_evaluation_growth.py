"""Evaluation of many episodes: work in parts, so that little memory is taken for each episode."""

import tracemalloc
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch

from tasd.bench.evaluate import random_features
from tasd.episodes import EpisodeSampler
from tasd.episodes import room as rooms
from tasd.episodes.table import EpisodeTable
from tasd.evaluation import metrics, parallel, score
from tasd.evaluation.summary import summary_of
from tasd.matchers import build


@pytest.fixture(scope="module")
def features():
    return random_features(8, videos_each=4)


def table_of(features, count: int) -> EpisodeTable:
    """Episodes that are drawn in one go, not each by its own generator."""
    drawn = EpisodeTable.draw(EpisodeSampler(features.classes("test"), 5, 1, 1, 10, seed=0))
    random = np.random.default_rng(0)
    chosen = random.permuted(np.tile(np.arange(24), (count, 1)), axis=1)[:, :5]
    videos = 4 * chosen[:, :, None] + np.arange(2)
    return replace(drawn, support=videos[:, :, :1], query=videos[:, :, 1:])


def evaluated(features, count: int):
    table = table_of(features, count)
    result = score.score(features, table, build("otam", 8))
    return result, summary_of([result], result.episodes)


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


def test_a_summary_keeps_two_bytes_of_an_episode(features):
    """Its number of right answers, for paired differences; scores are gone with their part."""
    tables = [table_of(features, count) for count in (100, 40_000, 120_000)]
    held = []
    for table in tables:
        tracemalloc.start()
        try:
            found = summary_of(score.score_in_parts(features, table, build("otam", 8)), table)
            gain = metrics.paired_counts(found.correct, found.correct[::-1], queries=5)
            held.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert gain.better == gain.worse
    assert (held[2] - held[1]) / 80_000 < 4


def test_many_episodes_are_drawn_onto_the_disk_and_are_the_same(features, monkeypatch, tmp_path):
    sampler = EpisodeSampler(features.classes("test"), 5, 1, 1, 2000, seed=0)
    held = EpisodeTable.draw(sampler)
    monkeypatch.setattr(rooms, "HELD_BYTES", 1000)
    monkeypatch.setattr(rooms.tempfile, "tempdir", str(tmp_path))
    drawn = EpisodeTable.draw(sampler)
    assert isinstance(drawn.support, np.memmap)
    assert not list(tmp_path.iterdir())  # it has no name
    np.testing.assert_array_equal(drawn.support, held.support)
    np.testing.assert_array_equal(drawn.query, held.query)
    assert drawn.hash == held.hash
    one, other = (
        summary_of(score.score_in_parts(features, table, build("otam", 8)), table)
        for table in (held, drawn)
    )
    np.testing.assert_array_equal(one.correct, other.correct)


def test_on_a_full_disk_episodes_are_in_main_memory(features, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rooms, "HELD_BYTES", 1000)
    monkeypatch.setattr(rooms.os, "posix_fallocate", full)
    sampler = EpisodeSampler(features.classes("test"), 5, 1, 1, 200, seed=0)
    assert type(EpisodeTable.draw(sampler).support) is np.ndarray


@pytest.mark.parametrize("name", ["otam", "trx"])  # by the table of pairs, and in batches
def test_parts_add_up_to_the_whole(features, name):
    torch.manual_seed(0)
    matcher, table = build(name, 8), table_of(features, 50)
    whole = score.score(features, table, matcher)
    parts = list(score.score_in_parts(features, table, matcher, batch=3, size=7))
    assert [len(part.episodes) for part in parts] == [9, 9, 9, 9, 9, 5]
    np.testing.assert_allclose(np.concatenate([p.logits for p in parts]), whole.logits, rtol=1e-4)
    one, other = summary_of([whole], whole.episodes), summary_of(parts, table)
    assert one.over_episodes == other.over_episodes
    for kind in ("over_classes", "over_videos"):  # NaN is equal to NaN here
        np.testing.assert_equal(astuple(getattr(one, kind)), astuple(getattr(other, kind)))
    assert one.per_class == other.per_class
    np.testing.assert_array_equal(one.confusion.counts, other.confusion.counts)
    np.testing.assert_array_equal(one.confusion.offered, other.confusion.offered)
    assert one.over_episodes.mean == pytest.approx(whole.accuracy.mean(), abs=1e-12)
    assert one.over_episodes.half == pytest.approx(
        metrics.episode_interval(whole.accuracy).half, abs=1e-12
    )


def test_paired_counts_are_the_paired_difference_of_the_accuracies(monkeypatch):
    random = np.random.default_rng(0)
    first, second = random.integers(0, 11, (2, 500)).astype(np.uint16)
    expected = metrics.paired_difference(first / 10, second / 10)
    monkeypatch.setattr(metrics, "COUNTED", 64)
    found = metrics.paired_counts(first, second, queries=10)
    assert (found.better, found.worse, found.equal) == (
        expected.better,
        expected.worse,
        expected.equal,
    )
    assert found.p_value == expected.p_value
    for end in ("mean", "low", "high"):
        assert getattr(found.difference, end) == pytest.approx(
            getattr(expected.difference, end), abs=1e-12
        )


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
