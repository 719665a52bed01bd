"""A table from the command line: listed, begun, interrupted, continued and printed."""

import json
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError
from tasd.training.validation import Validation
from tests.runs import DISTILL, SMALL
from tests.stores import write_store

ROWS = ("--only", "baseline", "--only", "ce")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return write_store(tmp_path_factory.mktemp("store") / "folder", videos=2, frames=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("study") / "table"


@pytest.fixture
def reproduce(store, folder):
    """Return a function that runs the command: exit code, output, standard error."""

    def reproduce(*words: object) -> tuple[int, str, str]:
        # The precision is left open: each run chooses it when it begins.
        small = [text for text in SMALL if "precision" not in text]
        settings = [*small, *DISTILL, "training.validation_every=1"]
        sets = [word for text in settings for word in ("--set", text)]
        own = ["--store", store, "--out", folder, "--episodes", 2, "--test-episodes", 30]
        command = ["reproduce", "table2", *own, *ROWS, "--device", "cpu", *sets, *words]
        result = CliRunner().invoke(app, [str(word) for word in command])
        if isinstance(result.exception, UserError):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return reproduce


def test_a_dry_run_lists_what_would_run_and_writes_nothing(reproduce, folder):
    code, out, _ = reproduce("--dry-run", "--seeds", 2)
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == [
        "baseline-seed0",
        "ce-seed0",
        "baseline-seed1",
        "ce-seed1",
    ]
    assert all("train 2 episodes, test, about" in line for line in lines[:4])
    assert lines[4].startswith("training will take about")
    listed = json.loads(reproduce("--dry-run", "--json")[1])
    assert [run["state"] for run in listed] == ["new", "new"]
    assert all(run["seconds_left"] > 0 for run in listed)
    assert not folder.exists()


def test_a_study_that_was_stopped_goes_on_where_it_was(reproduce, folder, monkeypatch):
    original = Validation.__call__

    def stopping(self, networks, now, watch):
        best = original(self, networks, now, watch)
        if "teacher" in networks and now.episode == 1:
            signal.raise_signal(signal.SIGTERM)
        return best

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "__call__", stopping)
        code, out, errors = reproduce()
    assert code == 143
    assert "give the same command again to continue from here" in errors
    assert "baseline-seed0" in out
    assert "ce-seed0" not in out
    first = (folder / "baseline-seed0/checkpoints/last.pt").stat().st_mtime_ns

    listed = json.loads(reproduce("--dry-run", "--json")[1])
    assert [(run["state"], run["episode"]) for run in listed] == [("done", 2), ("begun", 1)]
    code, out, _ = reproduce()
    assert code == 0
    assert (folder / "baseline-seed0/checkpoints/last.pt").stat().st_mtime_ns == first
    for number in ("86.31", "87.02"):
        assert number in out
    document = json.loads((folder / "table2.json").read_text())
    assert [run["row"] for run in document["runs"]] == ["baseline", "ce"]
    for run in document["runs"]:
        assert [check["episode"] for check in run["validation"]] == [0, 1, 2]
        assert run["untrained"] == run["validation"][0]["student"]
        assert run["best"]["episode"] in (1, 2)
        assert run["test"]["student"]["interval95"]
    assert "| baseline-seed0 |" in (folder / "table2.md").read_text()
    assert not list(folder.glob("*/features/*"))


def test_a_study_that_is_done_is_only_told_again(reproduce, monkeypatch):
    def nothing(*_, **__):
        raise AssertionError("nothing is left to train")

    reproduce()  # does nothing where the test above has run in the same process
    monkeypatch.setattr("tasd.reproduce.runs.train", nothing)
    code, out, _ = reproduce("--json")
    assert code == 0
    assert [run["row"] for run in json.loads(out)["runs"]] == ["baseline", "ce"]


def test_last_pt_of_a_tested_run_may_be_deleted(reproduce, folder):
    reproduce()
    last = folder / "baseline-seed0/checkpoints/last.pt"
    kept = last.rename(last.with_name("elsewhere.pt"))
    try:
        listed = json.loads(reproduce("--dry-run", "--json")[1])
        assert [run["state"] for run in listed] == ["done", "done"]
        assert "86.31" in reproduce("--so-far")[1]
    finally:
        kept.rename(last)


def test_other_settings_in_the_same_folder_are_refused(reproduce):
    reproduce()
    with pytest.raises(
        UserError, match=r"baseline-seed0 was run with --set optimiser\.lr=0\.0005, but .* .*0\.1;"
    ):
        reproduce("--set", "optimiser.lr=0.1", "--dry-run")


def test_a_run_that_fails_does_not_end_the_others(reproduce, tmp_path, monkeypatch):
    from tasd.reproduce import runs

    original = runs.train

    def failing(config, *rest, **options):
        if not config.distill.weights:
            raise UserError("the loss is not finite")
        return original(config, *rest, **options)

    monkeypatch.setattr(runs, "train", failing)
    code, out, errors = reproduce("--out", tmp_path / "other", "--episodes", 1)
    assert code == 1
    assert "baseline-seed0 failed: the loss is not finite" in errors
    assert "ce-seed0" in out
