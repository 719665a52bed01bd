"""`tasd show`: a run while it is written, and two runs side by side."""

import json
import os

import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError
from tasd.files import host
from tasd.runs.lock import LOCK, RunLock, writer_of
from tests.runs import quiet, small_config, small_run


@pytest.fixture(scope="module")
def runs(small_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    one = small_run(small_store, folder / "a", small_config(recipe="baseline")).run
    seed = ("training.seed", 5)
    config = small_config(seed, recipe="baseline", episodes=4)
    return one, small_run(small_store, folder / "b", config).run


def show(*words: object) -> str:
    said = CliRunner().invoke(app, ["show", *map(str, words)])
    if isinstance(said.exception, UserError):
        raise said.exception
    assert said.exit_code == 0, said.output
    return said.stdout


def test_a_run_is_shown_while_it_is_written(runs):
    run = runs[0]
    assert f"has ended: tasd evaluate --run {run.path} tests it" in show(run.path)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    with RunLock() as lock:
        lock.take(run.path)
        said = show(run.path)
        assert f"is being trained by process {os.getpid()} on {host()} since" in said
        with RunLock() as other, pytest.raises(UserError, match="is being written by process"):
            other.take(run.path)
    assert "8 of 8 episodes done, loss " in said
    assert "s ago" in said
    assert "validation after      8: student" in said
    after = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    assert {path.name for path in before.keys() ^ after.keys()} <= {LOCK}


def test_a_killed_writer_is_told_from_one_elsewhere(tmp_path):
    assert writer_of(tmp_path) == ("none", "")
    owner = {"pid": 2**22 + 1, "host": host(), "tag": "another boot", "since": "2026-01-01"}
    (tmp_path / LOCK).write_text(json.dumps(owner))
    assert writer_of(tmp_path)[0] == "killed"
    (tmp_path / LOCK).write_text(json.dumps({**owner, "host": "other"}))
    assert writer_of(tmp_path) == ("elsewhere", f"process {2**22 + 1} on other since 2026-01-01")
    (tmp_path / LOCK).write_text("")
    assert writer_of(tmp_path)[0] == "none"


def test_two_runs_are_shown_side_by_side(runs, small_store, monkeypatch):
    one, other = runs
    said = show(one.path, other.path)
    assert "2 settings differ:" in said
    rows = [line.split() for line in said.splitlines()]
    assert ["training.episodes", "8", "4"] in rows
    assert ["training.seed", "0", "5"] in rows
    assert ["episodes", "done", "8", "4"] in rows
    assert "no test of both on the same episodes (A has 0 results and B 0 results)" in said
    for run in runs:
        words = ["evaluate", "--run", run.path, "--store", small_store, "--episodes", 20, "--json"]
        with quiet():
            result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0
    said = show(one.path, other.path)
    assert "test-5w1s-1q-20e-seed0: A " in said
    assert "95 % interval" in said
    assert "equal settings" in show(one.path, one.path)
    with pytest.raises(UserError, match="a store, a run, or two runs"):
        show(one.path, other.path, one.path)
    with pytest.raises(UserError, match="is not a run"):
        show(one.path, small_store)
