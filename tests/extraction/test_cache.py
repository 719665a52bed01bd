"""Cached features: shared by processes, verified, computed again where they are damaged."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError
from tasd.evaluation import candidates
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.extraction.run import Extraction
from tasd.features.reader import open_features
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store
from tests import forks
from tests.runs import environment, small_config, small_run

REQUEST = EpisodeRequest(way=5, shot=1, queries=1, count=30)


@pytest.fixture(scope="module")
def trained(small_store, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("trained") / "run"
    return small_run(small_store, folder, small_config(recipe="tasd", episodes=4)).run


@pytest.fixture
def run(trained, tmp_path) -> Run:
    """A copy for one test."""
    return Run(shutil.copytree(trained.path, tmp_path / "run"))


def command(run: Run, store: Path, *more: object) -> list[str]:
    words = ["evaluate", "--run", run.path, "--store", store, "--episodes", 30, "--device", "cpu"]
    return [str(word) for word in (*words, *more)]


def evaluated(run: Run, store: Path):
    said = CliRunner().invoke(app, command(run, store, "--json"))
    assert said.exit_code == 0, said.output
    return said


def accuracies(run: Run, store: Path) -> dict:
    return of(evaluated(run, store))


def of(said) -> dict:
    return {n: one["accuracy"] for n, one in json.loads(said.stdout)["networks"].items()}


def test_three_processes_on_a_cold_cache_share_it(run, small_store):
    words = [sys.executable, "-m", "tasd", *command(run, small_store)]
    started = [
        forks.Fork(words, env=environment(), stdout=forks.PIPE, stderr=forks.STDOUT)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=240)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    files = sorted(path.name for path in (run.path / "features").iterdir())
    assert [name.partition("-")[0] for name in files] == ["student", "teacher"]
    assert len(list(run.evaluation.iterdir())) == 1
    assert "Traceback" not in "".join(said)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "other", "unsealed"])
def test_a_damaged_cache_file_is_computed_again_and_said_once(run, small_store, damage):
    before = accuracies(run, small_store)
    student, teacher = sorted((run.path / "features").iterdir())
    whole = student.read_bytes()
    changed = {
        "cut": whole[:-100],
        "flip": whole[:-50] + bytes([whole[-50] ^ 1]) + whole[-49:],
        "empty": b"",
        "text": b"tasd features seal 1\n{}\n",
        "other": teacher.read_bytes(),
        "unsealed": bytes(512) + whole[512:],
    }
    student.write_bytes(changed[damage])
    again = evaluated(run, small_store)
    assert of(again) == before
    told = [line for line in again.stderr.splitlines() if "computed again" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{student} is damaged (")
    assert open_features(student, own=True).hash == open_features(student).hash
    assert not list(student.parent.glob(".*"))


def test_a_lock_that_a_killed_process_left_stops_nobody(run, small_store):
    accuracies(run, small_store)
    student = sorted((run.path / "features").iterdir())[0]
    student.unlink()
    (student.parent / f".{student.name}.lock").touch()
    accuracies(run, small_store)
    assert open_features(student, own=True)


def test_evaluating_while_training_replaces_the_checkpoint(run, small_store, monkeypatch):
    """The number belongs to the checkpoint that the result names."""
    saved = checkpoint.load(run.best)
    other = run.path / "other.pt"
    shutil.copy(run.best, other)
    spoilt = checkpoint.load(other)
    for name, tensor in spoilt.learner.items():  # the same features for every video
        if tensor.ndim == 4:
            tensor.zero_()
        elif name.endswith("bias"):
            tensor.fill_(1)
    real = checkpoint.networks

    def replaced(of):
        spoilt.save(run.best)
        return real(of)

    monkeypatch.setattr(candidates.checkpoint, "networks", replaced)
    how = Extraction()
    with Store(small_store) as store:
        found = evaluate(of_run(run, saved, store, how, source=run.best), REQUEST)
        monkeypatch.undo()
        assert checkpoint.load(run.best).sha256 != saved.sha256
        later = of_run(run, checkpoint.load(run.best), store, how, source=run.best)
        after = evaluate(later, REQUEST)
        shutil.rmtree(run.path / "features")
        shutil.copy(other, run.best)
        again = evaluate(of_run(run, checkpoint.load(other), store, how, source=run.best), REQUEST)
    assert found.content["provenance"]["checkpoint"]["sha256"] == saved.sha256
    assert found.content["networks"] == again.content["networks"]
    assert after.content["networks"] != again.content["networks"]
    assert found.name == again.name != after.name


def test_a_result_on_another_store_is_another_file(run, small_store, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(small_store, other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["ffmpeg"] = "another"
    manifest.pop("sha256", None)
    (other / "manifest.json").write_text(json.dumps(manifest))
    accuracies(run, small_store)
    (first,) = run.evaluation.iterdir()
    content = first.read_bytes()
    accuracies(run, other)
    assert len(list(run.evaluation.iterdir())) == 2
    assert first.read_bytes() == content
    os.utime(first, (1, 1))
    from tasd.report.outcome import read_outcome

    assert read_outcome(run.path).path == first  # the test on the run's own store stands for it


def test_a_full_disk_is_one_line_and_leaves_nothing(run, small_store, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tasd.features.writer.seal", full)
    with (
        Store(small_store) as store,
        pytest.raises(UserError, match=r"cannot be written \(the disk is full\)"),
    ):
        of_run(run, checkpoint.load(run.best), store, Extraction(), source=run.best)
    assert not list((run.path / "features").iterdir())
