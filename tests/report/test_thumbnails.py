"""Frames on the page are those of the store, small, and no more than there is room for."""

import base64
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from tasd.errors import UserError
from tasd.report.frames import Thumbnails, find_frames
from tasd.store import Store
from tests.stores import write_store

VIDEO = "test class 1/v2"


def pixels(made):
    encoded = made.address.removeprefix("data:image/jpeg;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"), float)


def test_a_strip_shows_the_middle_of_each_part_of_the_video(small_store):
    store = Store(small_store)
    made = Thumbnails(store, room=100_000).strip(VIDEO, count=2, height=36)
    assert (made.width, made.height) == (72, 36)
    for place, index in enumerate((4, 12)):  # of 16 frames
        jpeg = Image.open(io.BytesIO(store.jpegs(VIDEO, [index])[0].tobytes()))
        wanted = np.asarray(jpeg.resize((36, 36), Image.Resampling.LANCZOS), float)
        shown = pixels(made)[:, 36 * place : 36 * (place + 1)]
        assert np.abs(shown - wanted).mean() < 8


def test_pictures_end_where_the_room_does(small_store):
    thumbnails = Thumbnails(Store(small_store), room=9_000)
    made = [thumbnails.strip(VIDEO, count=3, height=64 + n) for n in range(20)]
    kept = [one for one in made if one is not None]
    assert 0 < len(kept) < 20
    assert sum(len(one.address) for one in kept) <= 9_000
    assert thumbnails.left < 0
    assert thumbnails.strip(VIDEO, count=3, height=64) is kept[0]


def test_a_picture_takes_room_once(small_store):
    thumbnails = Thumbnails(Store(small_store), room=9_000)
    made = [thumbnails.strip(VIDEO, count=3, height=64) for _ in range(20)]
    assert all(one is made[0] for one in made)
    assert thumbnails.left == 9_000 - len(made[0].address)


def test_without_a_store_or_a_video_there_is_no_picture(small_store):
    assert Thumbnails(None, room=9_000).strip(VIDEO, count=1, height=64) is None
    assert Thumbnails(Store(small_store), room=9_000).strip("x/y", count=1, height=64) is None


def test_a_broken_frame_costs_its_own_picture(small_store, monkeypatch):
    store = Store(small_store)
    monkeypatch.setattr(store, "jpegs", lambda video, frames: [np.zeros(9, np.uint8)] * len(frames))
    assert Thumbnails(store, room=9_000).strip(VIDEO, count=1, height=64) is None


@pytest.fixture
def stores(tmp_path, monkeypatch, small_store):
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    (tmp_path / "stores").mkdir()
    shutil.copytree(small_store, tmp_path / "stores" / "one")
    return tmp_path / "stores"


def test_the_store_with_the_hash_counts_first(stores):
    write_store(stores / "another", side=40)
    wanted = Store(stores / "one").hash
    assert find_frames([VIDEO], wanted, None).path == stores / "one"
    with pytest.raises(UserError, match="in no store here; name their store with --store"):
        find_frames([VIDEO], "0", None)  # two hold the video


def test_the_only_store_with_all_videos_is_taken_and_a_damaged_one_is_not(stores):
    (stores / "bad").mkdir()
    (stores / "bad" / "manifest.json").write_text("{")
    assert find_frames([VIDEO], None, None).path == stores / "one"
    with pytest.raises(UserError, match="in no store here"):
        find_frames([VIDEO, "test class 1/v99"], None, None)


def test_a_store_of_other_videos_that_was_named_is_told(small_store):
    given = Store(small_store)
    assert find_frames([VIDEO], None, given) is given
    with pytest.raises(UserError, match="holds none of the videos under test"):
        find_frames(["x/y"], None, given)
