"""A shard is written whole or not at all, and always as the same bytes."""

import hashlib
import json
import os
import resource
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from tasd.store import ShardWriter, bytes_sha256, read_shard, remove_leftovers, shard_name
from tests.store.made import VIDEOS, Made, write_shard, write_videos

SHARD = shard_name(0)


def test_a_shard_does_not_tell_when_or_where_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    write_shard(tmp_path / SHARD, VIDEOS)
    time.sleep(1.1)  # HDF5's times have whole seconds
    write_shard(tmp_path / "elsewhere" / SHARD, VIDEOS)
    assert (tmp_path / SHARD).read_bytes() == (tmp_path / "elsewhere" / SHARD).read_bytes()


def test_any_hdf5_tool_reads_a_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / SHARD, VIDEOS)
    pixels = b"".join(jpeg for video in VIDEOS for jpeg in video.jpegs)
    with h5py.File(tmp_path / SHARD) as file:
        assert file["bytes"][()].tobytes() == pixels
        assert file["bytes"].chunks is None
        assert file["bytes"].compression is None
        assert file.attrs["sha256"] == hashlib.sha256(pixels).hexdigest()
        assert file.attrs["format_version"] == 1
        assert json.loads(file.attrs["settings"]) == {"frames": 3, "resize": [4, 6]}
        assert file["video_name"].asstr()[0] == VIDEOS[0].name
        assert [file[name].dtype.str for name in ("frame_offset", "video_first_frame")] == [
            "<i8"
        ] * 2
        assert file["frame_time"].dtype.str == "<f8"
        assert file["video_size"][0].tolist() == [4, 6]


def test_the_first_lines_of_a_shard_are_text(tmp_path: Path) -> None:
    write_shard(tmp_path / SHARD, VIDEOS)
    first, second = (tmp_path / SHARD).read_bytes().splitlines()[:2]
    preamble = json.loads(second)
    content = (tmp_path / SHARD).read_bytes()
    assert first == b"tasd store 1"
    assert preamble["length"] == len(content)
    start, stop = preamble["offset"], preamble["offset"] + preamble["nbytes"]
    rest = content[512:start] + content[stop:]
    assert preamble["index_sha256"] == hashlib.sha256(rest).hexdigest()
    assert content[start:stop] == b"".join(jpeg for video in VIDEOS for jpeg in video.jpegs)


def test_the_hash_of_the_pixels_can_be_taken_again(tmp_path: Path) -> None:
    write_shard(tmp_path / SHARD, VIDEOS)
    shard = read_shard(tmp_path / SHARD)
    assert bytes_sha256(shard) == shard.index.sha256
    with (tmp_path / SHARD).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    assert bytes_sha256(read_shard(tmp_path / SHARD)) != shard.index.sha256


def test_the_entry_of_a_shard_read_is_that_of_the_shard_written(tmp_path: Path) -> None:
    assert write_shard(tmp_path / SHARD, VIDEOS) == read_shard(tmp_path / SHARD).entry


def test_what_the_writer_is_told_to_remember_may_be_long(tmp_path: Path) -> None:
    sources = json.dumps([f"ünicode {i}.mp4" for i in range(30_000)])
    write_shard(tmp_path / SHARD, VIDEOS, sources=sources)
    assert read_shard(tmp_path / SHARD).index.attributes == {"sources": sources}


def test_a_shard_without_videos_remembers_what_failed(tmp_path: Path) -> None:
    entry = write_shard(tmp_path / SHARD, [], failed='["a", "b"]')
    assert (entry.videos, entry.frames) == (0, 0)
    assert read_shard(tmp_path / SHARD).index.attributes == {"failed": '["a", "b"]'}


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def jpegs() -> Iterator[bytes]:
        yield b"whole"
        raise ZeroDivisionError

    writer = ShardWriter(tmp_path / SHARD, dataset="folder", settings={}, ffmpeg="7.0")
    with pytest.raises(ZeroDivisionError), writer:
        writer.add(class_name="a", name="b", jpegs=jpegs(), times=[0.0, 1.0], size=(1, 1))
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_leaves_the_former_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / SHARD, VIDEOS)
    before = (tmp_path / SHARD).read_bytes()
    with pytest.raises(AssertionError):
        write_shard(tmp_path / SHARD, [Made("a", "no frames", ())])
    assert (tmp_path / SHARD).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [SHARD]


def _write_with_little_room(path: Path, videos: list[Made], limit: int) -> None:
    """Let no file grow beyond ``limit`` once the videos are added, as on a full disk."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with ShardWriter(path, dataset="folder", settings={}, ffmpeg="7.0") as writer:
            write_videos(writer, videos)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


@pytest.mark.parametrize("limit", [0, 600, 2_000, 20_000, 90_000])
def test_a_disk_that_fills_is_an_os_error_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    videos = [Made("class", f"video {i}", (b"x" * 400,)) for i in range(200)]
    with pytest.raises(OSError, match="File too large"):
        _write_with_little_room(tmp_path / SHARD, videos, limit)
    assert list(tmp_path.iterdir()) == []
    assert write_shard(tmp_path / SHARD, videos).videos == 200


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    write_shard(tmp_path / SHARD, VIDEOS)
    keep = {SHARD, "manifest.json", "notes.tmp"}
    left = [".shard-00001.h5.0a1b2c3d.writing", ".manifest.json.0a1b2c3d.writing"]
    left += ["shard-00001.h5.0a1b2c3d.tmp", "manifest.json.0a1b2c3d.tmp"]  # of version 0.1
    for name in [*left, *keep - {SHARD}]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == keep


def test_memory_stays_flat_while_a_shard_is_written(tmp_path: Path) -> None:
    megabyte = np.random.default_rng(0).bytes(1 << 20)
    tracemalloc.start()
    try:
        write_shard(tmp_path / SHARD, [Made("a", str(i), (megabyte,)) for i in range(64)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / SHARD).stat().st_size > 64 << 20
    assert peak < 16 << 20
