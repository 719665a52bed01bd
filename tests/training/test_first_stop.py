"""A run that is stopped before its first validation ends, or before it has a best checkpoint."""

import os
import signal
from pathlib import Path

import torch

from tasd.runs.checkpoint import load, networks
from tasd.runs.folder import Run
from tasd.training import untrained, validation
from tests.runs import small_config, small_run, state


def assert_equal(one: Path, other: Path) -> None:
    left, right = state(one), state(other)
    assert left.keys() == right.keys()
    assert all(torch.equal(tensor, right[name]) for name, tensor in left.items())


def config(episodes: int = 4):
    return small_config(recipe="baseline", episodes=episodes)


def stopping(monkeypatch, owner: object, name: str) -> None:
    """Send Ctrl-C just before a function is called for the first time."""
    real = getattr(owner, name)

    def call(*args, **options):
        monkeypatch.setattr(owner, name, real)
        os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **options)

    monkeypatch.setattr(owner, name, call)


def test_a_stopped_first_validation_leaves_the_untrained_network(
    monkeypatch, small_store, tmp_path: Path
):
    stopping(monkeypatch, untrained, "plain_validation")
    result = small_run(small_store, tmp_path / "run", config())
    run = Run(tmp_path / "run")
    assert result.exit_code == 130
    assert networks(load(run.best)).keys() == {"student"}
    assert not run.last.exists()
    assert run.unsaved
    assert "holds the untrained network, not validated" in (tmp_path / "log.txt").read_text()

    whole = small_run(small_store, tmp_path / "whole", config()).run
    again = small_run(small_store, run.path, config(), resume=run.last)
    assert again.exit_code == 0
    assert_equal(run.last, whole.last)
    assert load(run.best).progress.best == load(whole.best).progress.best


def test_a_run_stopped_before_its_best_has_something_to_predict_with(
    monkeypatch, small_store, tmp_path: Path
):
    stopping(monkeypatch, validation, "attention_picture")  # the first validation ends before it
    assert small_run(small_store, tmp_path / "run", config()).exit_code == 130
    run = Run(tmp_path / "run")
    assert load(run.best).progress.episode == load(run.last).progress.episode == 0
    whole = small_run(small_store, tmp_path / "whole", config()).run
    small_run(small_store, run.path, config(), resume=run.last)
    assert_equal(run.last, whole.last)
    assert load(run.best).progress.best == load(whole.best).progress.best
