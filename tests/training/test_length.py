"""A run that is resumed with another number of episodes, and what is said of its schedule."""

import signal
from pathlib import Path

import pytest

from tasd.cli.app import app
from tasd.errors import UserError
from tasd.progress import PhaseLine
from tasd.recipes.settings import replace
from tasd.runs.checkpoint import Progress, peek
from tasd.training.length import length_changes, with_length
from tasd.training.signals import StopSignals
from tests.runs import quiet, small_config, small_run


def resume(store, *words: object) -> int:
    own = ["train", "--store", store, "--device", "cpu", "--resume", *words]
    with quiet():
        return int(app([str(word) for word in own], standalone_mode=False) or 0)


def test_a_run_ends_later_and_earlier_than_it_was_begun(small_store, tmp_path, capsys):
    config = small_config(("training.checkpoint_every", 4))
    run = small_run(small_store, tmp_path / "run", config).run
    with pytest.raises(UserError, match="--episodes 8 is not more than the 8 episodes"):
        resume(small_store, run.path, "--episodes", 8)
    assert resume(small_store, run.path, "--episodes", 12) == 0
    said, told = capsys.readouterr()
    assert "12 episodes in place of 8; from episode 8 on" in told
    assert "down the cosine to 0 at episode 12 (was 8)" in told
    assert f"next: tasd evaluate --run {run.path}" in said
    assert peek(run.last).progress.episode == run.config().training.episodes == 12
    early = run.checkpoints / "episode-000004.pt"
    assert resume(small_store, early, "--episodes", 6) == 0
    assert peek(run.last).progress.episode == run.config().training.episodes == 6
    assert max(line["episode"] for line in run.read_metrics()) == 6
    with pytest.raises(UserError, match="keeps the settings of that run; leave out --crop"):
        resume(small_store, run.path, "--episodes", 20, "--crop", 64)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "the learning rate goes from 0 to 0.00025, and down the cosine to 0 at episode 80"),
        ([("optimiser.schedule", "constant")], "the learning rate stays 0.0005"),
        ([("optimiser.schedule", "step")], "goes from 5e-06 to 5e-05, and falls at episode 60"),
    ],
)
def test_the_change_of_each_schedule_is_said(settings, said):
    warmup = [] if ("optimiser.schedule", "constant") in settings else [("optimiser.warmup", 0)]
    before = small_config(*settings, *warmup, ("optimiser.lr", 5e-4), episodes=40)
    after = with_length(before, 80, Progress(39, 39), source=Path("last.pt"))
    lines = "\n".join(length_changes(before, after, Progress(40, 40)))
    assert said in lines
    assert "lambda of Eq. 1 goes from" in lines
    assert length_changes(before, before, Progress(40, 40)) == []
    plain = replace(before, [("training.validation_every", None)])
    longer = replace(after, [("training.validation_every", None), ("training.episodes", 6000)])
    assert "validation is every 100 episodes (was 50)" in "\n".join(
        length_changes(plain, longer, Progress(40, 40))
    )
    short = replace(plain, [("training.episodes", plain.training.episodes + 1)])
    assert "validation is" not in "\n".join(length_changes(plain, short, Progress(40, 40)))


def test_the_change_is_said_when_the_bar_is_gone(small_store, tmp_path, monkeypatch):
    run = small_run(small_store, tmp_path / "run", small_config()).run
    gone, said = [], []

    class Watched(PhaseLine):
        def end(self) -> None:
            gone.append(True)
            super().end()

    monkeypatch.setattr("tasd.progress.PhaseLine", Watched)
    monkeypatch.setattr("tasd.cli.train.say", lambda text, err=False: said.append((text, *gone)))
    assert resume(small_store, run.path, "--episodes", 9) == 0
    assert (said[0][0][:24], *said[0][1:]) == ("9 episodes in place of 8", True)


def test_the_first_signal_is_answered_at_once(capfd):
    with StopSignals("stopping: this step is finished first") as stop:
        signal.raise_signal(signal.SIGTERM)
        assert capfd.readouterr().err == "\nstopping: this step is finished first\n"
        signal.raise_signal(signal.SIGTERM)
    assert stop.exit_code == 143
    assert not capfd.readouterr().err
