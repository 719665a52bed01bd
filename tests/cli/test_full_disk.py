"""A disk that is full in truth, or can only be read: one line, nothing lost, nothing left."""

import json
import subprocess
import sys

import pytest

from tests.campaigns.full_disk import DISK_COMMANDS
from tests.runs import environment

OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]
SHORT = ("evaluate", "show")


def can_mount() -> bool:
    try:
        words = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
        return subprocess.run(words, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def cases(folder, *words) -> list[dict]:
    if not can_mount():
        pytest.skip("this user may not mount a file system of its own")
    command = [*OWN_MOUNTS, sys.executable, "-m", "tests.campaigns.full_disk", str(folder)]
    done = subprocess.run([*command, *words], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_told(cases: list[dict]) -> None:
    full = [case for case in cases if case["left"] is not None and case["code"] != 0]
    assert full
    for case in full:
        assert case["code"] == 1, case
        assert "full" in case["said"], case
    (read_only,) = [case for case in cases if case["left"] is None]
    assert "Read-only file system" in read_only["said"]
    for case in cases:
        assert not case["traceback"], case
        assert set(case["changed"]) <= {"half/metrics.jsonl"}, case  # the lines since the last save
        assert not [name for name in case["new"] if name.endswith(".writing")], case
        assert case["again"] in (0, None), case


def test_a_full_disk_is_one_line_and_costs_nothing(tmp_path):
    found = cases(tmp_path, "--short", *SHORT)
    for command in SHORT:
        assert_told([case for case in found if case["command"] == command])


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_command_on_a_disk_that_fills_at_five_points(tmp_path):
    found = cases(tmp_path)
    for command in DISK_COMMANDS:
        assert_told([case for case in found if case["command"] == command])


def test_standard_output_that_is_full_is_one_line():
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "tasd", "matchers"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("tasd: standard output or a temporary file: the disk is full")
    assert len(done.stderr.splitlines()) == 1
