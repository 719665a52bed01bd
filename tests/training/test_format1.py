"""Checkpoints of format 1: bombs are refused, and damage changes nothing unnoticed."""

import random
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from tasd.errors import UserError
from tasd.runs.checkpoint import load
from tasd.runs.tensorfile import LARGEST_HEADER
from tests.checkpoints import flip
from tests.runs import tensors
from tests.test_kept import KEPT


@pytest.fixture
def old(tmp_path) -> Path:
    return Path(shutil.copy(KEPT / "run" / "checkpoints" / "last.pt", tmp_path / "last.pt"))


def packed(old: Path, *, record: str, content: bytes, method: int) -> None:
    """Write the archive again with other bytes in one of its records."""
    with zipfile.ZipFile(old) as archive:
        records = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(old, "w", method) as archive:
        for name, bytes_ in records.items():
            archive.writestr(name, content if name.endswith(record) else bytes_)


def test_a_bomb_is_refused(old):
    packed(old, record="/data/0", content=bytes(1 << 28), method=zipfile.ZIP_DEFLATED)
    assert old.stat().st_size < 1 << 20
    with pytest.raises(UserError, match="would unpack to more than its own size"):
        load(old)


def test_a_description_larger_than_any_is_refused(old):
    content = bytes(LARGEST_HEADER + 1)
    packed(old, record="data.pkl", content=content, method=zipfile.ZIP_STORED)
    with pytest.raises(UserError, match="larger than any of a checkpoint"):
        load(old)


@pytest.mark.parametrize(
    "flips", [40, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_a_flipped_bit_is_found_or_changes_nothing(old, flips):
    """An archive has bytes that say nothing: padding, times, names that stand in it twice."""
    expected = load(old)
    draw = random.Random(2)
    found = 0
    for _ in range(flips):
        bit = draw.randrange(8 * old.stat().st_size)
        flip(old, bit=bit)
        try:
            read = load(old)
        except UserError as error:
            found += 1
            told = str(error)
            assert "\n" not in told
        else:
            assert (read.config, read.progress) == (expected.config, expected.progress)
            values = tensors({"learner": read.learner, "teacher": read.teacher})
            for name, value in tensors(
                {"learner": expected.learner, "teacher": expected.teacher}
            ).items():
                assert torch.equal(values[name], value), name
        flip(old, bit=bit)
    assert found > flips / 2
