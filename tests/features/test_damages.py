"""Damages of a feature file: without a traceback, a hang, or a wrong number unnoticed."""

from pathlib import Path

import h5py
import pytest

from tasd.features.seal import SEAL_BYTES, seal
from tests.campaigns.log import folder_of, number_of
from tests.features.damages import campaign
from tests.features.hostile import write


def sealed(path: Path) -> Path:
    """A feature file with a seal, as tasd writes it."""
    plain = write(path.with_name("plain.h5"))
    with h5py.File(plain) as source, h5py.File(path, "w", userblock_size=SEAL_BYTES) as file:
        for name in source:
            source.copy(name, file)
    seal(path)
    return path


def test_forty_damages_are_told_or_harmless(tmp_path):
    assert campaign(tmp_path / "plain", 20)["told"] > 2
    found = campaign(tmp_path / "sealed", 20, make=sealed)
    assert found["told"] >= 15
    assert found["other"] == 0


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("make", [write, sealed])
def test_two_thousand_damages_are_told_or_harmless(tmp_path, make):
    """$TASD_CAMPAIGN names a folder in which a campaign that was stopped goes on."""
    count = number_of("DAMAGES", 2000)
    found = campaign(folder_of(tmp_path) / make.__name__, count, make=make)
    assert sum(found[kind] for kind in ("told", "same", "other")) >= count
    if make is sealed:
        assert found["other"] == 0
