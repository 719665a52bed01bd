"""A run that was trained on one store and is tested on another, and all classes of a store."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError
from tasd.features.reader import open_features
from tests import stores
from tests.narrow import tiny
from tests.runs import quiet, small_config, small_run

# Of the other store's classes one has the name of a training class, in another spelling.
OTHER = {"train": ("Train_Class-0", "b"), "val": ("c", "d"), "test": ("e", "f", "g")}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("across")
    with pytest.MonkeyPatch.context() as patch:
        own = stores.write_store(folder / "stores" / "own", videos=3, frames=4, side=40)
        small_run(own, folder / "run", small_config(episodes=2))
        patch.setattr(stores, "SPLITS", {"train": (), "val": (), "test": ()} | OTHER)
        stores.write_store(folder / "signs", videos=3, frames=4, side=40)
    return folder


@pytest.fixture
def evaluate(home, monkeypatch):
    monkeypatch.setenv("TASD_HOME", str(home))

    def evaluate(*words: object) -> str:
        own = ["evaluate", "--run", home / "run", "--way", 3, "--episodes", 20]
        with quiet():
            said = CliRunner().invoke(app, [str(word) for word in (*own, *words)])
        if isinstance(said.exception, UserError):
            raise said.exception
        assert said.exit_code == 0, said.output
        return said.stdout

    return evaluate


def test_a_test_on_another_store_names_it_and_the_shared_classes(evaluate, home):
    said = evaluate("--store", home / "signs")
    assert "trained on another store (folder " in said
    assert "tested on signs (folder " in said
    assert "none of the 3 classes under test are among the 6 training classes" in said
    origin = json.loads(evaluate("--store", home / "signs", "--json"))["provenance"]
    assert origin["store"] == {"name": "signs", "path": str(home / "signs")}
    assert origin["trained_on_store"] != origin["store_sha256"]
    assert origin["training_classes"] == 6
    own = json.loads(evaluate("--json"))["provenance"]
    assert own["store"]["name"] == "own"
    assert own["trained_on_store"] == own["store_sha256"]
    assert "another store" not in evaluate()


def test_all_classes_of_a_store_are_tested_and_shared_names_refused(evaluate, home):
    words = ["--store", home / "signs", "--split", "all", "--way", 5]
    with pytest.raises(
        UserError, match=r"trained on 1 of the 7 classes under test \(Train_Class-0\)"
    ):
        evaluate(*words)
    said = evaluate(*words, "--allow-overlap")
    assert "all: 7 classes, 21 videos" in said
    assert "1 of the 7 classes under test is among the 6 training classes" in said
    assert "spelling: Train_Class-0" in said
    (made,) = (home / "run" / "features").glob("student-all-*.h5")
    assert open_features(made).splits["test"] == ("e", "f", "g")
    names = [path.name for path in (home / "run" / "evaluation").glob("all-5w1s-1q-20e-seed0-*")]
    assert len(names) == 1


def test_all_classes_of_a_backbone(home, monkeypatch):
    monkeypatch.setenv("TASD_HOME", str(home))
    import torch

    torch.save(tiny().state_dict(), home / "weights.pth")
    words = ["evaluate", "--backbone", "tiny", "--weights", str(home / "weights.pth"), "--json"]
    words += ["--store", str(home / "signs"), "--split", "all", "--episodes", "20", "--crop", "32"]
    with quiet():
        said = json.loads(CliRunner().invoke(app, words).stdout)
    assert said["provenance"]["split"]["classes"] == 7
    assert said["provenance"]["store"]["name"] == "signs"
