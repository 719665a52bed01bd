"""A damaged store is refused in one line that names the way out; nothing crashes."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasd.errors import UserError
from tasd.store import Store, read_shard, shard_name
from tasd.store.preamble import Preamble, index_sha256
from tests.store.made import VIDEOS, Made, write_shard, write_store

SHARD = shard_name(0)


def refusal(path: Path) -> str:
    """Return the message with which a store is refused."""
    with pytest.raises(UserError) as caught:
        Store(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


def test_no_folder_is_no_store(tmp_path: Path) -> None:
    assert "there is no store" in refusal(tmp_path / "nowhere")


def test_a_folder_without_manifest_is_no_store(tmp_path: Path) -> None:
    assert "is not a store" in refusal(tmp_path)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "there is no store" in refusal(tmp_path / "file")


def test_shards_without_manifest_are_an_unfinished_store(tmp_path: Path) -> None:
    write_shard(tmp_path / SHARD, VIDEOS)
    assert "unfinished" in refusal(tmp_path)


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    content.pop("sha256")  # as an earlier version wrote it
    (folder / "manifest.json").write_text(json.dumps(content))


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    edit_manifest(write_store(tmp_path), lambda content: content.update(version=2))
    assert "has version 2 of its format, this tasd reads version 1" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "cannot be read") for text in ("", "{", "\x00\x01")),
        *(
            (text, "is not the manifest of a store")
            for text in ("[]", '"x"', '{"format": "other"}', "null")
        ),
    ],
)
def test_another_file_of_that_name_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    line = refusal(tmp_path)
    assert reason in line
    assert "run the same tasd prep again" in line


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content.pop("dataset"), "dataset"),
        (lambda content: content.update(shards=[1]), "shards.0"),
        (lambda content: content["shards"][0].update(length="many"), "shards.0.length"),
        (lambda content: content["shards"][0].update(file="../shard-00000.h5"), "not the name"),
        (lambda content: content["shards"][0].update(file="/etc/passwd"), "not the name"),
        (lambda content: content["shards"].append(content["shards"][0]), "named twice"),
        (lambda content: content["splits"].pop("val"), "train, val, test"),
    ],
)
def test_a_damaged_manifest_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    edit_manifest(write_store(tmp_path), change)
    assert reason in refusal(tmp_path)


def test_a_missing_shard_is_refused(tmp_path: Path) -> None:
    (write_store(tmp_path) / SHARD).unlink()
    assert f"{SHARD} is damaged: it is missing" in refusal(tmp_path)


def test_a_shard_of_another_store_is_refused(tmp_path: Path) -> None:
    write_shard(write_store(tmp_path) / SHARD, VIDEOS[:1])
    assert "not the shard that the manifest names" in refusal(tmp_path)


def test_one_video_in_two_shards_is_refused(tmp_path: Path) -> None:
    assert "holds video 'run/run 0' twice" in refusal(write_store(tmp_path, VIDEOS[:2], VIDEOS[:1]))


def test_a_data_set_that_no_release_knows_is_refused(tmp_path: Path) -> None:
    edit_manifest(write_store(tmp_path), lambda content: content.update(dataset="x", splits=None))
    with pytest.raises(UserError, match=r"'x'.*hmdb51, kinetics, ssv2-small, ucf101"):
        Store(tmp_path)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_truncated_shard_is_refused(data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        shard = write_store(Path(name), VIDEOS) / SHARD
        os.truncate(shard, data.draw(st.integers(0, shard.stat().st_size - 1)))
        assert SHARD in refusal(Path(name))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_changed_byte_outside_the_pixels_passes(data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        shard = write_store(Path(name), VIDEOS) / SHARD
        preamble = read_shard(shard).preamble
        content = bytearray(shard.read_bytes())
        pixels = range(preamble.offset, preamble.offset + preamble.nbytes)
        places = [at for at in range(len(content)) if at not in pixels]
        place = data.draw(st.sampled_from(places))
        content[place] ^= data.draw(st.integers(1, 255))
        shard.write_bytes(content)
        assert SHARD in refusal(Path(name))


def write_wrong(path: Path, change: Callable[[h5py.File], object]) -> None:
    """Write a shard with a change to which its first lines were adapted."""
    write_shard(path, VIDEOS)
    with h5py.File(path, "r+") as file:
        change(file)
    shard = read_preamble_of(path)
    with path.open("r+b") as raw:
        sha256 = index_sha256(raw, offset=shard.offset, nbytes=shard.nbytes)
        raw.seek(0)
        raw.write(replace(shard, length=path.stat().st_size, index_sha256=sha256).encode())


def read_preamble_of(path: Path) -> Preamble:
    return Preamble(**json.loads(path.read_bytes().splitlines()[1]))


def put(name: str, values: object, **options: Any) -> Callable[[h5py.File], None]:
    """Return a change that puts other values in place of an array."""

    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=values, **options)

    return change


FRAMES, BYTES = 36, sum(len(jpeg) for video in VIDEOS for jpeg in video.jpegs)


def offsets(changes: dict[int, int], step: int = BYTES // FRAMES) -> np.ndarray:
    values = np.arange(FRAMES + 1, dtype="<i8") * step
    values[-1] = BYTES
    for place, value in changes.items():
        values[place] = value
    return values


CHANGES = {
    "/frame_offset does not rise": [
        put("frame_offset", offsets({0: 1})),
        put("frame_offset", offsets({5: -1})),
        put("frame_offset", offsets({5: 1 << 62})),
        put("frame_offset", offsets({5: -(1 << 63), 6: (1 << 63) - 1})),
        put("frame_offset", offsets({-1: BYTES + 1})),
        put("frame_offset", offsets({-1: BYTES - 1})),
    ],
    "/video_first_frame does not rise": [
        put("video_first_frame", np.arange(13, dtype="<i8")),
        put("video_first_frame", np.arange(13, dtype="<i8") * 4),
    ],
    "has shape": [
        put("frame_offset", offsets({})[:-1]),
        put("frame_offset", np.zeros(0, "<i8")),
        put("frame_offset", offsets({})[None]),
        put("video_name", np.array([b"one"])),
        put("video_size", np.zeros((12, 3), "<i4")),
    ],
    "is of type": [
        put("frame_offset", offsets({}).astype("<i4")),
        put("frame_time", np.zeros(FRAMES, "<f4")),
        put("video_name", np.arange(12)),
        put("video_first_frame", np.arange(13, dtype=">i8")),
    ],
    "does not lie": [
        put("frame_offset", offsets({}), chunks=(8,)),
        put("frame_offset", offsets({}), compression="gzip"),
        put("bytes", np.zeros(BYTES, np.uint8), chunks=(8,)),
        put("bytes", np.zeros(BYTES, np.uint8)),
    ],
    "no array": [
        put("frame_time", h5py.Empty("f8")),
        lambda file: (file.pop("frame_time"), file.create_group("frame_time")),
    ],
    "/bytes is not": [
        put("bytes", np.zeros(BYTES, np.int8)),
        put("bytes", np.zeros(BYTES + 1, np.uint8)),
    ],
    "its pixels do not lie within it": [
        put("bytes", np.zeros(0, np.uint8)),
        lambda file: file.pop("bytes"),
    ],
    "missing or a link to elsewhere": [
        lambda file: file.pop("frame_time"),
        lambda file: (
            file.pop("video_name") and file.update(video_name=h5py.ExternalLink("other.h5", "/x"))
        ),
        lambda file: file.move("frame_time", "x") or file.update(frame_time=h5py.SoftLink("/x")),
    ],
    "HDF5 cannot read it": [
        lambda file: file.attrs.pop("settings"),
        lambda file: file.attrs.update(settings="no JSON"),
        put("video_name", np.array([b"\xff"] * 12)),
    ],
    "is no text": [lambda file: file.attrs.update(sha256=np.zeros(3))],
    "not a JSON object": [lambda file: file.attrs.update(settings="[]")],
}


@pytest.mark.parametrize(
    ("reason", "change"),
    [(reason, change) for reason, changes in CHANGES.items() for change in changes],
)
def test_a_shard_that_contradicts_itself_is_refused(
    tmp_path: Path, reason: str, change: Callable[[h5py.File], object]
) -> None:
    write_wrong(tmp_path / SHARD, change)
    with pytest.raises(UserError) as caught:
        read_shard(tmp_path / SHARD)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shard_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    shard = write_store(tmp_path) / SHARD
    shard.write_bytes(shard.read_bytes().replace(b"tasd store 1", b"tasd store 7", 1))
    assert "has version 7 of the format, this tasd reads version 1" in refusal(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        b"tasd store 1\n{}\n",
        b'tasd store 1\n{"offset":"a","nbytes":1,"length":9,"index_sha256":""}\n',
        b'tasd store 1\n{"offset":512,"nbytes":-600,"length":9,"index_sha256":""}\n',
        b"tasd store 1\n{{{\n",
    ],
)
def test_first_lines_that_say_nothing_are_refused(tmp_path: Path, lines: bytes) -> None:
    shard = write_store(tmp_path) / SHARD
    shard.write_bytes(lines.ljust(512) + shard.read_bytes()[512:])
    assert SHARD in refusal(tmp_path)


def test_a_plain_hdf5_file_is_no_shard(tmp_path: Path) -> None:
    with h5py.File(write_store(tmp_path) / SHARD, "w") as file:
        file["bytes"] = np.zeros(3, np.uint8)
    assert "does not begin as a shard does" in refusal(tmp_path)


def test_a_shard_cut_short_while_the_store_is_open_is_refused(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path))
    os.truncate(tmp_path / SHARD, 600)
    with pytest.raises(UserError, match="changed since the store was opened"):
        store.jpegs("wave/wave 0", [0])


def test_a_shard_replaced_while_the_store_is_open_is_refused(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path))
    write_shard(tmp_path / SHARD, VIDEOS[6:])
    with pytest.raises(UserError, match="changed since the store was opened"):
        store.jpegs("wave/wave 0", [0])


def test_a_shard_replaced_while_it_is_read_goes_on_as_it_was(tmp_path: Path) -> None:
    store = Store(write_store(tmp_path))
    before = bytes(store.jpegs("wave/wave 0", [0])[0])
    write_shard(tmp_path / SHARD, [Made("wave", "wave 0", (b"other",))])
    assert bytes(store.jpegs("wave/wave 0", [0])[0]) == before
