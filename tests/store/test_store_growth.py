"""The index of a large store: read once, its work and memory proportional to the videos."""

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tasd.bench.growth import tiny_store
from tasd.errors import UserError
from tasd.store import Store, reader


def calls(work: Callable[[], object]) -> int:
    """The number of functions that ``work`` calls, Python's and C's."""
    found = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return found


def peak(work: Callable[[], object]) -> int:
    """The most bytes that Python's objects and numpy's arrays took at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Stores of 2,000 and 16,000 videos in shards of 1,000."""
    folder = tmp_path_factory.mktemp("growth")
    return {n: tiny_store(folder / str(n), n, classes=100, in_shard=1000) for n in (2000, 16000)}


def used(path: Path) -> None:
    with Store(path) as store:
        store.only("train").classes("train")


@pytest.mark.parametrize("cost", [calls, peak])
def test_opening_a_store_costs_in_proportion_to_its_videos(stores, cost):
    used(stores[2000])  # what Python keeps from the first time
    small, large = (cost(lambda n=n: used(stores[n])) for n in (2000, 16000))
    assert large < 8 * 1.1 * small


def test_a_video_takes_less_than_half_a_kilobyte(stores):
    assert peak(lambda: used(stores[16000])) / 16000 < 512


def test_a_part_of_a_store_reads_nothing_from_the_disk_again(stores, monkeypatch):
    store = Store(stores[2000])

    def refuse(*given: object) -> None:
        raise AssertionError(given)

    monkeypatch.setattr(reader, "read_manifest", refuse)
    monkeypatch.setattr(reader, "open_shard", refuse)
    part = store.only("test")
    assert part.classes() == store.classes("test")
    assert part.hash == store.hash
    with pytest.raises(UserError, match="was opened for test only, not for train"):
        part.classes("train")


def test_to_close_a_part_leaves_the_store_open(stores):
    store = Store(stores[2000])
    video = next(iter(store.classes("test").values()))[0]
    store.jpegs(video, [0])
    with store.only("test") as part:
        part.jpegs(video, [0])
    assert store._files
    assert not part._files


def test_videos_of_shards_in_any_order_are_sorted(tmp_path):
    path = tiny_store(tmp_path / "backwards", 40, classes=4, in_shard=7, backwards=True)
    with Store(path) as store:
        assert list(store.videos) == sorted(store.videos)
        assert len(store.videos) == 40
