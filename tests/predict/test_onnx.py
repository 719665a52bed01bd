"""Backbone and encoder as ONNX give the features of torch."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import tasd.predict.onnx
from tasd.errors import UserError
from tasd.predict.onnx import ONNX, check_packages, write_onnx
from tasd.predict.trained import trained_network
from tasd.runs.folder import Run
from tests.cli.test_predict import run_tasd


@pytest.fixture
def runtime():
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name, reason=f"the package {name} is not installed")
    return pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Torch's own file of the one network, which several tests check and write."""
    return tmp_path_factory.mktemp("onnx") / ONNX


@pytest.fixture
def torch_exports_once(exported, monkeypatch):
    """Let torch, which takes seconds, write the file once, and give copies of it."""
    export = torch.onnx.export

    def once(encoder, given, path, **options):
        if not exported.exists():
            export(encoder, given, str(exported), **options)
        shutil.copy(exported, path)

    monkeypatch.setattr(torch.onnx, "export", once)


@pytest.fixture
def trained(home):
    return trained_network(Run(home / "runs" / "tiny"))


@pytest.mark.usefixtures("torch_exports_once")
def test_features_of_any_number_of_videos_are_those_of_torch(runtime, trained, tmp_path):
    checked = write_onnx(trained, tmp_path)
    assert checked.path == tmp_path / ONNX
    assert 0 < checked.share < 1e-4
    session = runtime.InferenceSession(str(checked.path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    data = trained.config.data
    assert given.shape[1:] == [data.frames, data.crop, data.crop, 3]
    assert given.type == "tensor(uint8)"
    for videos in (1, 4):
        pixels = np.random.default_rng(0).integers(0, 256, (videos, *given.shape[1:]), np.uint8)
        frames, maps = session.run(["frames", "maps"], {given.name: pixels})
        expected = trained.model(torch.from_numpy(pixels))
        np.testing.assert_allclose(frames, expected.frames.numpy(), atol=1e-3)
        np.testing.assert_allclose(maps, expected.maps.numpy(), atol=1e-3)
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".txt"} >= {ONNX}


@pytest.mark.usefixtures("torch_exports_once")
def test_the_command_reports_the_largest_difference(runtime, home, tmp_path):
    words = ("export", home / "runs" / "tiny", "--out", tmp_path / "export", "--no-reject")
    said = run_tasd(*words, "--onnx")
    assert "largest difference to torch: " in said.stderr
    assert (tmp_path / "export" / ONNX).is_file()
    assert not list((tmp_path / "export").glob("*.writing*"))


@pytest.mark.usefixtures("torch_exports_once")
def test_a_file_that_differs_is_not_written(runtime, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(tasd.predict.onnx, "MOST", 1e-12)
    with pytest.raises(UserError, match=r"would differ from torch by .* and is not written"):
        write_onnx(trained, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_what_cannot_be_written_is_told_in_one_line(runtime, trained, tmp_path, monkeypatch):
    def failing(*arguments, **options):
        raise RuntimeError("no such operator\nat line 3")

    monkeypatch.setattr(torch.onnx, "export", failing)
    with pytest.raises(UserError, match=r"cannot be written \(no such operator at line 3\)"):
        write_onnx(trained, tmp_path)
    assert not (tmp_path / ONNX).exists()


def test_a_missing_package_is_told_before_anything_is_written(home, tmp_path, monkeypatch):
    monkeypatch.setattr(tasd.predict.onnx, "PACKAGES", ("nosuchpackage",))
    with pytest.raises(UserError, match=r"nosuchpackage is not installed; pip install"):
        check_packages()
    words = ("export", home / "runs" / "tiny", "--out", tmp_path / "export", "--onnx")
    with pytest.raises(UserError, match="nosuchpackage"):
        run_tasd(*words)
    assert not (tmp_path / "export").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    "backbone", ["mobilenet_v2", "efficientnet_lite0", "resnet50", "r2plus1d_18"]
)
def test_every_kind_of_backbone_is_written(runtime, trained, tmp_path, backbone):
    from tasd.model import build_model
    from tasd.recipes.settings import replace as changed

    config = changed(trained.config, [("network.backbone", backbone), ("data.crop", 64)])
    model = build_model(config, classes=4, initialise=False)
    assert write_onnx(replace(trained, config=config, model=model), tmp_path).share < 1e-3
