import pytest

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
    assert "GiB free in" in finding("machine").detail
