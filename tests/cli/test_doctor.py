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
