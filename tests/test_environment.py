"""What a run notes of the machine and the code."""

import subprocess
from pathlib import Path

import pytest

from tasd import __version__
from tasd.runs.environment import commit, environment, version

ROOT = Path(__file__).parents[1]


def test_the_commit_is_that_of_this_checkout():
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    head = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    noted = commit()
    assert noted is not None
    assert noted.removesuffix("+") == head


def test_versions_are_those_installed_and_none_of_what_is_not():
    assert version("tasd") == __version__
    assert version("no-such-package") is None
    assert environment(["tasd", "train"])["command"] == ["tasd", "train"]
