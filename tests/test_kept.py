"""Files that version 0.1 wrote still open and give the same results; see tests/kept/README.md."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from prep.check import check_store
from tasd.cli.app import app
from tasd.evaluation.results import read_document
from tasd.features import open_features
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.loop import train
from tests.runs import lines, quiet

KEPT = Path(__file__).parent / "kept"
RESULT = "test-5w1s-1q-200e-seed0.json"


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """A copy of the kept files."""
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    shutil.copytree(KEPT, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tasd(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def networks_of(path: Path) -> dict:
    return read_document(path)["networks"]


def assert_close(found: dict, kept: dict) -> None:
    """Intervals are equal but for the order in which numbers were added."""
    assert found == {
        name: pytest.approx(ends, abs=1e-9, nan_ok=True) for name, ends in kept.items()
    }


def test_the_store_opens_and_every_byte_is_as_it_was_written():
    with Store("store") as store:
        assert [len(store.splits[split]) for split in ("train", "val", "test")] == [6, 5, 5]
        assert len(store.videos) == 48
        assert store.hash.startswith("2fe84874b5d2409f")
    assert check_store(Path("store"), deep=True) == []


def test_the_result_reads_and_the_run_gives_it_again():
    before = networks_of(Path("run/evaluation") / RESULT)
    tasd(
        "evaluate",
        "--run",
        "run",
        "--store",
        "store",
        "--episodes",
        200,
        "--out",
        "again.json",
        "--device",
        "cpu",
    )
    again = networks_of(Path("again.json"))
    assert again.keys() == before.keys() == {"student", "teacher"}
    for name, network in before.items():
        assert again[name]["accuracy"] == network["accuracy"]
        assert again[name]["correct"] == network["correct"]
        assert_close(again[name]["interval95"], network["interval95"])


def test_the_feature_file_opens_and_gives_its_result_again():
    features = open_features(Path("features.h5"))
    assert features.hash.startswith("0329cfff986b3b96")
    tasd(
        "evaluate",
        "--features",
        "features.h5",
        "--matcher",
        "bimhm",
        "--episodes",
        200,
        "--device",
        "cpu",
        "--out",
        "again.json",
    )
    again, before = (networks_of(Path(p)) for p in ("again.json", "features-result.json"))
    for found, kept in zip(again.values(), before.values(), strict=True):
        assert_close(found.pop("interval95"), kept.pop("interval95"))
    assert again == before


def test_the_networks_of_the_checkpoint_give_the_kept_features():
    features = open_features(Path("features.h5"))
    tasd("features", "--run", "run", "--store", "store", "--device", "cpu")
    (made,) = Path("run/features").glob("teacher-test-*.h5")
    again = open_features(made)
    assert again.videos == features.videos
    np.testing.assert_allclose(again.features, features.features, rtol=1e-4, atol=1e-5)


def test_the_export_answers_as_it_did():
    said = json.loads(
        tasd(
            "predict",
            "--run",
            "export",
            "--support",
            "support",
            "query.mp4",
            "--json",
            "--no-cache",
            "--device",
            "cpu",
        )
    )
    before = json.loads(Path("answer.json").read_text())
    assert said["model"].items() >= before["model"].items()
    (answer,), (expected,) = said["answers"], before["answers"]
    assert answer["class"] == expected["class"] == "b"
    assert answer["scores"] == pytest.approx(expected["scores"], rel=1e-3, abs=1e-4)


def test_the_run_is_shown_and_reported():
    assert "10 of 10 episodes done" in tasd("show", "run")
    tasd("report", "run", "--store", "store")


def test_a_checkpoint_is_resumed_to_its_end_without_a_step():
    saved = checkpoint.load(Path("run/checkpoints/last.pt"))
    assert (saved.progress.episode, saved.best_network) == (10, "teacher")
    tasd("train", "--resume", "run", "--store", "store", "--device", "cpu")
    assert checkpoint.load(Path("run/checkpoints/last.pt")).progress == saved.progress


def test_the_golden_run_of_ten_steps_gives_the_same_numbers(tmp_path):
    """Bits depend on the processor's vector units, so the numbers are held to rounding here.

    ``python -m tests.golden`` prints digests, to compare two versions to the bit on one machine.
    """
    before = Run(Path("run"))
    with Store("store") as store, quiet() as console:
        again = train(before.config(), store, run=Run(tmp_path / "again"), device="cpu",
                      console=console).run  # fmt: skip
    for kind in ("train", "gradients", "validation"):
        expected, found = lines(before, kind), lines(again, kind)
        assert len(found) == len(expected) > 1
        for one, other in zip(flat(found), flat(expected), strict=True):
            assert one == pytest.approx(other, rel=2e-3, abs=2e-4)
    was = checkpoint.load(before.last).learner
    for name, tensor in checkpoint.load(again.last).learner.items():
        torch.testing.assert_close(tensor, was[name], rtol=1e-2, atol=1e-4, msg=name)


def flat(found: list[dict]) -> list[float]:
    """All numbers of some lines, in their order."""

    def numbers(value):
        if isinstance(value, dict):
            return [number for key in sorted(value) for number in numbers(value[key])]
        return [] if isinstance(value, str) else [value]

    return [number for line in found for number in numbers(line)]
