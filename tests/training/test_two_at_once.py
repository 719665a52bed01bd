"""Processes that begin at once on one run, or with one name, do not mix."""

import json
import os
import shutil
import sys

import pytest

from tasd.runs.folder import Run
from tasd.training.step import Step
from tests import forks
from tests.runs import (
    DISTILL,
    SMALL,
    assert_equal_bits,
    environment,
    lines,
    small_config,
    small_run,
)


def at_once(*commands: list[str], **variables: str) -> list[tuple[int, str]]:
    """Start all commands, then wait for all: exit codes and what they said on stderr."""
    started = [
        forks.Fork(words, env=environment() | variables, stderr=forks.PIPE) for words in commands
    ]
    said = [process.communicate(timeout=250)[1] for process in started]
    return [(process.returncode, text) for process, text in zip(started, said, strict=True)]


def test_of_two_resumes_at_once_one_is_refused(small_store, tmp_path):
    often = (("training.checkpoint_every", 4),)
    run = small_run(small_store, tmp_path / "run", small_config(*often, episodes=24)).run
    whole = Run(shutil.copytree(run.path, tmp_path / "whole"))
    words = [sys.executable, "-m", "tasd", "train", "--device", "cpu", "--store", str(small_store)]
    words += ["--resume", str(run.checkpoints / "episode-000004.pt")]
    ended = at_once(words, words)
    assert sorted(code for code, _ in ended) == [0, 1], ended
    (refused,) = [text for code, text in ended if code]
    assert "is being written by process" in refused
    assert "Traceback" not in refused
    assert [line["episode"] for line in lines(run, "train")] == list(range(1, 25))
    assert lines(run, "validation") == lines(whole, "validation")
    assert_equal_bits(run.last, whole.last)


def test_two_bare_trainings_of_one_second_are_two_runs(small_store, tmp_path):
    """The name of a folder is its second; here both processes see the same one."""
    (tmp_path / "stores").mkdir()
    os.symlink(small_store, tmp_path / "stores" / "folder")
    one_second = (
        "import tasd.runs.folder as f; f.new_path = lambda config: f.runs_folder() / 'second'; "
        "from tasd.__main__ import main; main()"
    )
    settings = [word for text in SMALL + DISTILL for word in ("--set", text)]
    words = [sys.executable, "-c", one_second, "train", "--device", "cpu", *settings]
    commands = [[*words, "--episodes", "4", "--seed", seed] for seed in "01"]
    ended = at_once(*commands, TASD_HOME=str(tmp_path))
    assert [code for code, _ in ended] == [0, 0], ended
    runs = [Run(tmp_path / "runs" / name) for name in ("second", "second-2")]
    assert {json.loads((r.path / "config.json").read_text())["training"]["seed"] for r in runs} == {
        0,
        1,
    }
    for run in runs:
        assert [line["episode"] for line in lines(run, "train")] == [1, 2, 3, 4]


class Killed(BaseException):
    pass


def test_a_run_that_was_never_saved_has_one_validation_before_training(
    small_store, tmp_path, monkeypatch
):
    def dying(self):
        raise Killed

    config = small_config(episodes=4)
    with monkeypatch.context() as patch:
        patch.setattr(Step, "finish", dying)
        with pytest.raises(Killed):
            small_run(small_store, tmp_path / "run", config)
    run = Run(tmp_path / "run")
    assert [line["episode"] for line in lines(run, "validation")] == [0]
    small_run(small_store, run.path, config, resume=run.last)
    assert [line["episode"] for line in lines(run, "validation")] == [0, 4]
