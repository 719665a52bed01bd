"""A rehearsal writes nothing and tells what the run will take."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training import plan, rehearsal, validation
from tasd.training.clock import Seconds
from tasd.training.rehearsal import rehearse
from tests.runs import DISTILL, SMALL, quiet, small_config, small_run

NOTES = 64  # bytes by which the digits of a checkpoint's notes may differ


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("recipe", ["tasd", "baseline"])
@pytest.mark.parametrize(
    "settings",
    [
        [],
        [("training.checkpoint_every", 4)],
        [("training.save_every", 3)],
        [("optimiser.name", "sgd"), ("training.episodes_per_step", 2)],
        [("training.validation_every", 8)],
    ],
)
def test_the_disk_of_a_run_is_told_exactly(small_store, tmp_path, recipe, settings):
    if recipe == "baseline" and settings:
        settings = settings[:1]
    config = small_config(*settings, recipe=recipe)
    told = rehearse(config, Store(small_store), run=Run(tmp_path / "run"), device="cpu")
    assert not files(tmp_path)
    run = small_run(small_store, tmp_path / "run", config).run
    assert abs(told.disk.last - run.last.stat().st_size) <= NOTES
    assert abs(told.disk.best - run.best.stat().st_size) <= NOTES
    own = {path.stat().st_ino: path.stat().st_size for path in run.checkpoints.glob("*.pt")}
    assert abs(told.disk.end - sum(own.values())) <= NOTES * len(own)
    assert told.disk.end <= told.disk.most
    lines = run.read_metrics()
    assert told.validation.times == sum(line["kind"] == "validation" for line in lines)
    assert told.episodes == 8


def test_a_rehearsal_is_part_of_no_run(small_store, tmp_path):
    """It takes no number of the run's: the weights after it are those without it."""
    config = small_config()
    first = small_run(small_store, tmp_path / "one", config).run
    with quiet():
        rehearse(config, Store(small_store), run=Run(tmp_path / "two"), device="cpu")
    second = small_run(small_store, tmp_path / "two", config).run
    assert first.read_metrics()[-1]["student"] == second.read_metrics()[-1]["student"]


def test_the_memory_that_is_told_has_the_copy_of_a_save(small_store, tmp_path, monkeypatch):
    held, filled = [], rehearsal.Snapshot.finish

    def finish(self):
        filled(self)
        held.append(sum(t.numel() * t.element_size() for t in self._room.values()))

    monkeypatch.setattr(rehearsal.Snapshot, "finish", finish)
    monkeypatch.setattr(rehearsal, "peak_bytes", lambda device: held[-1])
    config = small_config()
    told = rehearse(config, Store(small_store), run=Run(tmp_path / "run"), device="cpu")
    assert 0.9 * told.disk.last < told.memory < told.disk.last  # which has names and digests too


def test_the_trial_of_an_episode_counts_where_a_run_has_one(small_store, tmp_path, monkeypatch):
    class Clock:
        def lap(self) -> Seconds:
            return Seconds(1.0, 1.0)

    def seconds() -> float:
        found = rehearse(config, Store(small_store), run=Run(tmp_path / "run"), device="cpu")
        return found.seconds.clock

    config = small_config(recipe="baseline", episodes=4)
    monkeypatch.setattr(rehearsal, "Clock", Clock)
    monkeypatch.setattr(validation, "Clock", Clock)
    without = seconds()
    monkeypatch.setattr(plan, "WORTH_A_TRIAL", 4)
    assert seconds() == without + 1


def test_what_is_left_of_a_run_is_rehearsed(small_store, tmp_path):
    config = small_config(("training.checkpoint_every", 4))
    run = small_run(small_store, tmp_path / "run", config).run
    before, from_four = files(run.path), run.checkpoints / "episode-000004.pt"
    told = rehearse(config, Store(small_store), run=run, device="cpu", resume=from_four)
    assert told.episodes == 4
    assert told.validation.times == 1
    assert files(run.path) == before
    with pytest.raises(UserError, match="has ended: 8 of 8 episodes are done"):
        rehearse(config, Store(small_store), run=run, device="cpu", resume=run.last)


def test_the_command_prints_and_writes_nothing(small_store, tmp_path, monkeypatch):
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    settings = [w for t in SMALL + DISTILL if "backbone" not in t for w in ("--set", t)]
    words = ["train", "--store", str(small_store), "--device", "cpu", "--backbone", "tiny"]
    words += [*settings, "--episodes", "8", "--dry-run"]
    with quiet():
        text = CliRunner().invoke(app, words).output
        told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    for row in ("run  ", "time  ", "memory  ", "disk  ", "validation  "):
        assert f"\n{row}" in text, row
    assert "3 validations of" in text
    assert "8 episodes, 5-way 1-shot, of 5 classes and 30 videos" in text
    assert told["memory"] > 1 << 20
    assert told["hours"] == told["seconds"]["clock"] / 3600 > 0
    assert told["run"].startswith(str(tmp_path / "runs" / "folder-tasd-5w1s-"))
    assert not files(tmp_path)


def test_a_dry_run_tells_all_mistakes_and_json_needs_it(small_store, tmp_path):
    def told(*words: str) -> list[str]:
        with pytest.raises(UserError) as error:
            app(["train", "--store", str(small_store), *words], standalone_mode=False)
        return list(error.value.lines)

    wrong = ["--backbone", "resnet51", "--queries", "9", "--crop", "64", "--weights", "none"]
    assert len(told("--dry-run", *wrong)) == 2
    assert any("--json has no effect without --dry-run" in line for line in told("--json", *wrong))
