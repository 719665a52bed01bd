"""A feature file that somebody built to harm, or that was damaged, is one line."""

import os
import random
from pathlib import Path

import h5py
import numpy as np
import pytest

from tasd.errors import UserError
from tasd.features import hdf5, opening
from tasd.features.reader import open_features
from tasd.features.seal import SEAL_BYTES, BrokenSeal, check_seal
from tests.features.hostile import EDITS, PLACES, write
from tests.features.test_damages import sealed


def refusal(path, **options) -> str:
    with pytest.raises(UserError) as refused:
        open_features(path, **options)
    line = str(refused.value)
    assert "\n" not in line
    assert len(line) < len(str(path)) + 300
    assert str(path) in line
    return line


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_what_a_hostile_file_holds_is_refused_in_one_line(tmp_path, edit):
    path = write(tmp_path / "mine.h5")
    with h5py.File(path, "a") as file:
        edit(file)
    assert EDITS[edit] in refusal(path)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_what_is_no_file_is_refused_without_waiting(tmp_path, place):
    place(tmp_path / "mine.h5")
    assert PLACES[place] in refusal(tmp_path / "mine.h5")


def test_a_shape_that_grows_behind_the_end_is_refused(tmp_path):
    path = write(tmp_path / "mine.h5")
    with h5py.File(path, "r") as file:
        offset, size = file["features"].id.get_offset(), path.stat().st_size
    data = path.read_bytes()
    at = data.index((12).to_bytes(8, "little") + (8).to_bytes(8, "little"))
    path.write_bytes(data[:at] + (10**6).to_bytes(8, "little") + data[at + 8 :])
    assert offset < size
    assert "damaged" in (line := refusal(path)) or "and the file has" in line


def test_hdf5_that_does_not_end_is_stopped(tmp_path, monkeypatch):
    slow = tmp_path / "slow.py"
    slow.write_text("import resource, sys\n"
                    "resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]), 9))\n"
                    "while True: pass\n")  # fmt: skip
    monkeypatch.setattr(hdf5, "__file__", str(slow))
    monkeypatch.setattr(opening, "SECONDS", 1)
    assert "HDF5 does not open it within 1 s" in refusal(write(tmp_path / "mine.h5"))


def test_hdf5_that_stands_still_is_stopped(tmp_path, monkeypatch):
    (tmp_path / "still.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "still.py"))
    monkeypatch.setattr(opening, "PATIENCE", 0.1)  # of 20 s
    monkeypatch.setattr(opening, "_used", lambda pid: 3.0)
    assert "HDF5 does not open it within 20 s" in refusal(write(tmp_path / "mine.h5"))


def test_a_sound_file_is_waited_for_on_a_busy_machine(tmp_path, monkeypatch):
    looks = iter(range(10**6))
    monkeypatch.setattr(opening, "PATIENCE", 0.0005)
    monkeypatch.setattr(opening, "_used", lambda pid: float(next(looks)))
    assert open_features(write(tmp_path / "mine.h5")).features.shape == (12, 8, 6)
    assert next(looks) > 0


@pytest.mark.parametrize("code", ["import os; os.abort()", "import sys; sys.exit(9)"])
def test_hdf5_that_crashes_is_one_line(tmp_path, monkeypatch, code):
    (tmp_path / "crash.py").write_text(code)
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "crash.py"))
    assert "HDF5 crashes on it" in refusal(write(tmp_path / "mine.h5"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_tmpdir_is_not_laid_at_the_door_of_the_file(tmp_path, monkeypatch):
    with open("/dev/full", "w+b", 0) as full:
        monkeypatch.setattr(opening.tempfile, "TemporaryFile", lambda: full)
        said = refusal(write(tmp_path / "mine.h5"))
    assert "no room for temporary files" in said
    assert "(the disk is full)" in said
    assert "damaged" not in said


def test_a_sealed_file_is_read_by_any_tool_and_the_same_both_ways(tmp_path):
    path = sealed(tmp_path / "mine.h5")
    with h5py.File(path) as file:
        values = file["features"][...]
    for own in (False, True):
        np.testing.assert_array_equal(open_features(path, own=own).features, values)


def test_every_byte_of_a_sealed_file_counts(tmp_path):
    path = sealed(tmp_path / "mine.h5")
    whole, places = path.read_bytes(), random.Random(1)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[places.randrange(SEAL_BYTES, len(whole))] ^= 1 << places.randrange(8)
        path.write_bytes(damaged)
        with path.open("rb") as file, pytest.raises(BrokenSeal, match="content has changed"):
            check_seal(file)


def test_a_cache_file_without_a_seal_is_not_used(tmp_path):
    assert "it has no seal" in refusal(write(tmp_path / "mine.h5"), own=True)


def test_a_file_that_nobody_may_read_is_one_line(tmp_path):
    path = write(tmp_path / "mine.h5")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("runs as root, who may read everything")
    assert "cannot be read (Permission denied)" in refusal(path)


def test_packed_arrays_and_either_byte_order_give_the_same_numbers(tmp_path):
    plain = open_features(write(tmp_path / "plain.h5")).features
    for number, options in enumerate(({"dtype": ">f4"}, {"chunks": (5, 8, 6)},
                                      {"dtype": ">f4", "chunks": (5, 3, 6),
                                       "compression": "gzip", "shuffle": True})):  # fmt: skip
        path = write(tmp_path / f"{number}.h5")
        with h5py.File(path, "a") as file:
            del file["features"]
            file.create_dataset("features", data=plain, **options)
        read = open_features(path).features
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, plain)
