"""Memory of drawing: bounded for any number of videos of a class."""

import tracemalloc

import numpy as np
import pytest

from tasd.episodes import EpisodeSampler, table
from tasd.episodes.table import EpisodeTable


def sampler(each: int, length: int) -> EpisodeSampler:
    videos = {f"c{c}": [f"c{c}/v{v:06d}" for v in range(each)] for c in range(6)}
    return EpisodeSampler(videos, 5, 1, 1, length, seed=0)


def test_large_classes_take_no_more_memory_than_their_names_and_one_block():
    large = sampler(20_000, 100)
    tracemalloc.start()
    try:
        EpisodeTable.draw(large)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * table.BLOCK_BYTES


@pytest.mark.parametrize("limit", [1, 5000, 1 << 24])
def test_the_episodes_do_not_depend_on_the_size_of_a_block(monkeypatch, limit):
    drawn = EpisodeTable.draw(sampler(40, 30))
    monkeypatch.setattr(table, "BLOCK_BYTES", limit)
    again = EpisodeTable.draw(sampler(40, 30))
    np.testing.assert_array_equal(drawn.support, again.support)
    np.testing.assert_array_equal(drawn.query, again.query)


def test_the_hash_does_not_depend_on_the_number_of_names_joined_at_a_time(monkeypatch):
    drawn = EpisodeTable.draw(sampler(40, 30))
    monkeypatch.setattr(table, "HASHED", 7)
    assert EpisodeTable.draw(sampler(40, 30)).hash == drawn.hash
