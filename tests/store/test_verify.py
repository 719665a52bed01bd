"""Shards that are read are compared with their digests, and one that changes is told."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from tasd.errors import UserError
from tasd.store import Store, verify
from tasd.store import verify as module
from tasd.store.jpeg import fault
from tests.stores import write_store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_store(tmp_path / "s", videos=1, frames=2)


def verified(store: Store) -> None:
    with verify.Verification(store.shards) as verification:
        verification.wait()
        assert verification.left() == 0


def damage(store: Store, video: str, frame: int) -> Path:
    """Zero the second half of a frame, and keep the time of the file."""
    entry = store.videos[video]
    shard = store.shards[entry.shard]
    start, stop = shard.index.frame_offset[entry.first_frame + frame :][:2]
    before = shard.path.stat()
    with shard.path.open("r+b") as file:
        file.seek(shard.preamble.offset + int(start + stop) // 2)
        file.write(bytes(int(stop - start) // 2))
    os.utime(shard.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return shard.path


def test_a_whole_shard_is_read_once(folder, monkeypatch):
    verified(Store(folder))
    read: list[str] = []
    monkeypatch.setattr(module, "verify", lambda shard, stop: read.append(shard.path.name) or True)
    verified(Store(folder))
    assert read == []
    os.utime(Store(folder).shards[1].path, (1, 1))
    verified(Store(folder))
    assert read == ["shard-00001.h5"]
    (module.cache_folder() / "verified.json").write_text("{")
    verified(Store(folder))
    assert len(read) == 3


def test_a_folder_that_cannot_be_written_costs_only_the_memory(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    verified(Store(folder))


def test_a_broken_frame_is_named_with_its_video(folder, monkeypatch):
    store = Store(folder)
    video = "val class 1/v0"
    shard = store.shards[store.videos[video].shard]
    first = store.videos[video].first_frame
    edges = shard.index.frame_offset[first : first + 3] + shard.preamble.offset
    written = hashlib.sha256(shard.path.read_bytes()[edges[0] : edges[2]]).hexdigest()
    monkeypatch.setitem(shard.index.attributes, "digests", f'{{"{video}": "{written}"}}')
    damage(store, video, 1)
    with pytest.raises(UserError, match=r"frame 1 of video 'val class 1/v0' in shard .*mend the"):
        verified(store)


@pytest.mark.parametrize("change", ["cut", "written", "gone and back"])
def test_a_shard_that_changes_while_it_is_read_is_told(folder, change):
    store = Store(folder)
    video = next(iter(store.videos))
    (whole,) = store.jpegs(video, [0])
    shard = store.shards[store.videos[video].shard]
    path = shard.path
    if change == "cut":
        os.truncate(path, 100)
    elif change == "written":
        time.sleep(0.01)
        with path.open("r+b") as file:
            file.seek(shard.preamble.offset)
            file.write(b"x")
    else:  # another file has the name: what was opened is read on
        path.with_name("other").write_bytes(b"")
        path.with_name("other").replace(path)
        assert store.jpegs(video, [0])[0].tobytes() == whole.tobytes()
        return
    with pytest.raises(UserError, match="changed since the store was opened"):
        store.jpegs(video, [0])
    assert whole[0] == 0xFF, "what was handed out stays"


def test_codes_of_a_frame_are_followed_to_its_end(folder):
    store = Store(folder)
    for video in store.videos:
        for jpeg in store.jpegs(video, [0, 1]):
            assert fault(jpeg.tobytes()) == ""
    content = jpeg.tobytes()
    assert fault(content[:-1])
    assert fault(content[: len(content) // 2] + bytes(len(content) // 2 - 2) + content[-2:])
