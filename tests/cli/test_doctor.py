from types import SimpleNamespace

import pytest
import torch
import torchvision

from tasd import loader
from tasd.cli.doctor import examine


def finding(what):
    (found,) = [finding for finding in examine() if finding.what == what]
    return found


def test_the_reason_why_dali_is_not_used_is_given(monkeypatch):
    monkeypatch.setattr(loader, "why_no_dali", lambda: "libcuda.so.1: cannot open")
    found = finding("loader")
    assert found.verdict == "note"
    assert found.detail.startswith("no DALI (libcuda.so.1: cannot open); Pillow decodes")


@pytest.mark.skipif(loader.why_no_dali() is not None, reason="NVIDIA DALI is not installed")
def test_the_version_of_dali_is_given():
    found = finding("loader")
    assert (found.verdict, found.detail[:5]) == ("ok", "DALI ")


def test_a_home_that_is_not_there_yet_has_the_space_of_the_folder_above(monkeypatch, tmp_path):
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "not" / "yet"))
    there = []
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: there.append(path) or SimpleNamespace(free=64 << 30)
    )
    assert f"cores, 64 GiB free in {tmp_path / 'not' / 'yet'}" in finding("machine").detail
    assert there == [tmp_path]


def test_a_torchvision_of_another_torch_is_missing_in_one_line(monkeypatch):
    def load_library(path):
        raise OSError(f"{path}: undefined symbol: _ZN3c10\nmore")

    monkeypatch.setattr(torch.ops, "load_library", load_library)
    found = finding("torch")
    assert found.verdict == "missing"
    assert "undefined symbol: _ZN3c10; pip install 'tasd[train]'" in found.detail


def test_the_operators_of_torchvision_are_looked_at():
    found = finding("torch")
    assert found.verdict == "ok"
    assert found.detail.startswith(f"{torch.__version__}, torchvision ")
    assert torchvision.__version__.startswith(found.detail.rpartition(" ")[2])
