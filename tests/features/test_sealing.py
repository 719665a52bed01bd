"""A person's own feature file: that it carries no digest is said, and a seal can be added."""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError
from tasd.features import opening, reader
from tasd.features.reader import open_features
from tasd.features.seal import SEAL_BYTES, check_seal
from tasd.features.writer import seal_features
from tests.checkpoints import flip
from tests.features.hostile import write
from tests.features.test_damages import sealed


def test_a_file_without_a_seal_is_named_once(tmp_path, capsys):
    path = write(tmp_path / "mine.h5")
    open_features(path)
    open_features(path)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path} carries no digest" in line
    assert f"tasd features --seal {path} adds one" in line
    open_features(sealed(tmp_path / "sealed.h5"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("options", [{}, {"libver": "latest"}, {"userblock_size": 512}])
def test_a_sealed_file_holds_what_it_held(tmp_path, options):
    plain, path = write(tmp_path / "plain.h5"), tmp_path / "mine.h5"
    with h5py.File(plain) as source, h5py.File(path, "w", **options) as file:
        for name in source:
            source.copy(name, file)
    before, content = open_features(path), path.read_bytes()
    assert seal_features(path)
    assert path.read_bytes()[SEAL_BYTES:] == content
    after = open_features(path)
    assert after.hash == before.hash
    with path.open("rb") as file:
        assert check_seal(file)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["features"][...], before.features)
    assert not seal_features(path)


def test_a_changed_digit_of_a_sealed_file_is_found(tmp_path):
    path = write(tmp_path / "mine.h5")
    seal_features(path)
    at = path.read_bytes().index(np.float32(open_features(path).features[3, 1, 4]).tobytes())
    flip(path, bit=8 * at + 3)
    with pytest.raises(UserError, match="content has changed since it was written"):
        open_features(path)


def test_a_damaged_file_gets_no_seal(tmp_path):
    path = write(tmp_path / "mine.h5")
    path.write_bytes(path.read_bytes()[:-400])
    content = path.read_bytes()
    with pytest.raises(UserError, match=r"mine\.h5"):
        seal_features(path)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["mine.h5"]


def test_the_command_seals_and_computes_nothing(tmp_path):
    path = write(tmp_path / "mine.h5")
    said = CliRunner().invoke(app, ["features", "--seal", str(path)])
    assert said.exit_code == 0, said.output
    assert "sealed" in said.stdout
    assert "carries no digest" not in said.stderr
    again = CliRunner().invoke(app, ["features", "--seal", str(path)])
    assert again.stdout == f"{path}: is sealed\n"
    mixed = CliRunner().invoke(app, ["features", "--seal", str(path), "--maps"])
    assert mixed.exit_code != 0


@pytest.mark.parametrize("own", [True, False])
def test_hdf5_sees_no_byte_of_a_file_whose_seal_is_broken(tmp_path, monkeypatch, own):
    """Neither in this process nor in one of its own: the seal is verified before."""
    path = sealed(tmp_path / "mine.h5")
    flip(path, bit=8 * (SEAL_BYTES + 100))

    def opened(*words, **options):
        raise AssertionError("HDF5 was asked")

    monkeypatch.setattr(opening.h5py, "File", opened)
    monkeypatch.setattr(opening.subprocess, "Popen", opened)
    with pytest.raises(UserError, match="content has changed"):
        reader.open_features(path, own=own)
