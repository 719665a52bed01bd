"""A store gives back what was written, as views, in threads, forks and other processes."""

import multiprocessing
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasd.datasets import class_splits
from tasd.errors import UserError
from tasd.store import Manifest, Store, shard_name, write_manifest
from tests.store.made import SPLITS, VIDEOS, Made, write_shard, write_store

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=8
)
ANY_VIDEO = st.builds(
    Made,
    class_name=NAMES,
    name=NAMES,
    jpegs=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5).map(tuple),
    size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
)
ANY_VIDEOS = st.lists(ANY_VIDEO, max_size=8, unique_by=lambda video: video.id)


def contents(store: Store) -> dict[str, list[bytes]]:
    return {
        key: [bytes(jpeg) for jpeg in store.jpegs(key, range(video.frames))]
        for key, video in store.videos.items()
    }


@settings(max_examples=60, deadline=None)
@given(videos=ANY_VIDEOS, cut=st.integers(0, 8))
def test_a_store_gives_back_what_was_put_in(videos: list[Made], cut: int) -> None:
    with TemporaryDirectory() as name:
        store = Store(write_store(Path(name), videos[cut:], videos[:cut]))
        assert list(store.videos) == sorted(video.id for video in videos)
        assert contents(store) == {video.id: list(video.jpegs) for video in videos}
        for video in videos:
            entry = store.videos[video.id]
            assert (entry.class_name, entry.name) == (video.class_name, video.name)
            assert (entry.size, entry.frames) == (video.size, len(video.jpegs))
            assert store.frame_times(video.id).tolist() == video.times


@settings(max_examples=40, deadline=None)
@given(videos=ANY_VIDEOS)
def test_the_same_videos_give_the_same_bytes(videos: list[Made]) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        first, second = write_store(Path(one), videos), write_store(Path(other), videos)
        names = sorted(path.name for path in first.iterdir())
        assert names == sorted(path.name for path in second.iterdir())
        assert all((first / n).read_bytes() == (second / n).read_bytes() for n in names)
        assert Store(first).hash == Store(second).hash


def test_the_hash_changes_with_any_frame(tmp_path: Path) -> None:
    one = write_store(tmp_path / "one", [Made("a", "b", (b"1", b"2"))])
    other = write_store(tmp_path / "other", [Made("a", "b", (b"1", b"3"))])
    assert Store(one).hash != Store(other).hash


def test_frames_cannot_be_written(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path))
    (first,) = store.jpegs("run/run 1", [2])
    assert first.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        store.frame_times("run/run 1")[0] = 0


def test_a_view_outlives_its_store(tmp_path: Path) -> None:
    with Store(write_store(tmp_path)) as store:
        (view,) = store.jpegs("run/run 0", [0])
    assert bytes(view) == VIDEOS[0].jpegs[0]


def test_frames_come_in_the_order_asked_for(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path))
    given = [bytes(jpeg) for jpeg in store.jpegs("run/run 0", [2, 0, 2])]
    assert given == [VIDEOS[0].jpegs[frame] for frame in (2, 0, 2)]


@pytest.mark.parametrize("frame", [-1, 3])
def test_a_frame_that_is_not_there_is_a_mistake_of_ours(tmp_path: Path, frame: int) -> None:
    with pytest.raises(AssertionError):
        Store(write_store(tmp_path)).jpegs("run/run 0", [frame])


def test_classes_are_those_of_the_splits_asked_for(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path, [*VIDEOS, Made("in no split", "x")]))
    assert store.splits == SPLITS
    assert list(store.splits) == ["train", "val", "test"]
    assert store.classes("val", "test") == {
        name: tuple(f"{name}/{name} {i}" for i in range(3)) for name in ("smile", "wave")
    }
    assert list(store.classes()) == ["in no split", "run", "sit", "smile", "wave"]


def test_classes_of_a_published_data_set_are_looked_up_in_its_splits(tmp_path: Path) -> None:
    entry = write_shard(tmp_path / shard_name(0), [Made("Archery", "v"), Made("Diving", "w")])
    write_manifest(tmp_path, Manifest("ucf101", "7.0", {}, (entry,)))
    store = Store(tmp_path)
    assert store.splits == class_splits("ucf101")
    assert store.classes("train") == {"Archery": ("Archery/v",)}
    assert store.classes("test") == {"Diving": ("Diving/w",)}


def test_a_store_opened_for_training_refuses_every_test_video(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path)).only("train", "val")
    for part in (store, pickle.loads(pickle.dumps(store))):
        assert {video.class_name for video in part.videos.values()} == {"run", "sit", "wave"}
        assert set(part.classes()) == {"run", "sit", "wave"}
        for refused in (
            lambda part=part: part.jpegs("smile/smile 0", [0]),
            lambda part=part: part.frame_times("smile/smile 0"),
            lambda part=part: part.classes("test"),
            lambda part=part: part.only("test"),
        ):
            with pytest.raises(UserError, match="train, val"):
                refused()


def test_an_unknown_split_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'dev'; it has train, val, test"):
        Store(write_store(tmp_path)).classes("dev")


def test_a_store_travels_by_pickle(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path))
    assert contents(pickle.loads(pickle.dumps(store))) == contents(store)


def test_a_pickled_store_is_refused_once_it_changed(tmp_path: Path) -> None:
    pickled = pickle.dumps(Store(write_store(tmp_path)))
    write_store(tmp_path, VIDEOS[:4])
    with pytest.raises(UserError, match="changed while it was in use"):
        pickle.loads(pickled)


def test_threads_may_share_a_store(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path))
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda _: contents(store), range(40)))
    assert all(result == results[0] for result in results)


def _same_contents(store: Store, expected: dict[str, list[bytes]]) -> None:
    assert contents(store) == expected


def test_a_store_survives_a_fork(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path))
    store.jpegs("run/run 0", [0])  # one shard is mapped before the fork, the other after it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = multiprocessing.get_context("fork").Process(
            target=_same_contents, args=(store, {v.id: list(v.jpegs) for v in VIDEOS})
        )
        child.start()
    child.join(60)
    assert child.exitcode == 0
