"""The floor beside a run's figures: the plain backbone that it began from."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from tasd import backbones
from tasd.backbones.base import Backbone
from tasd.backbones.weights import at_hand
from tasd.cli.app import app
from tasd.errors import UserError
from tasd.evaluation.metrics import paired_difference
from tasd.report.outcome import read_outcome
from tasd.report.tables import tables
from tasd.runs.metrics import metrics_text
from tests.result_files import newest
from tests.result_files import plain as plain_name
from tests.runs import small_config, small_run

RESULT = "test-5w1s-1q-40e-seed0.json"
WEIGHTS = "start.pth"


def tiny() -> Backbone:
    """Two strided convolutions, 16 channels."""
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    body = nn.Sequential(nn.Conv2d(8, 16, 3, 4, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return Backbone([("stem", stem), ("body", body)], 16, pretrained={})


@pytest.fixture(scope="module")
def trained(small_store, tmp_path_factory) -> Path:
    """$TASD_HOME with a store, the weights, and runs that began from them, or from none."""
    folder = tmp_path_factory.mktemp("floor")
    (folder / "stores").mkdir()
    (folder / "stores" / "folder").symlink_to(small_store)
    (folder / "runs").mkdir()
    torch.manual_seed(0)
    torch.save(tiny().state_dict(), folder / WEIGHTS)
    began = ("network.weights", str(folder / WEIGHTS))
    high = ("optimiser.lr", 0.05)  # so that the run leaves its floor
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.BACKBONES, "tiny", tiny)
        for name, own in {
            "begun": [began, high],
            "hyrsm": [began, ("matcher.name", "hyrsm")],
            "scratch": [],
        }.items():
            config = small_config(*own, recipe="baseline", episodes=4)
            small_run(small_store, folder / "runs" / name, config)
    return folder


@pytest.fixture
def home(trained, monkeypatch) -> Path:
    monkeypatch.setitem(backbones.BACKBONES, "tiny", tiny)
    monkeypatch.setenv("TASD_HOME", str(trained))
    return trained


def tasd(*words: object) -> str:
    """Run a command; return its output, or raise its error."""
    said = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(said.exception, UserError):
        raise said.exception
    assert said.exit_code == 0, said.output
    return said.output


def evaluate(home: Path, name: str, *words: object) -> str:
    run = home / "runs" / name
    return tasd("evaluate", "--run", run, "--episodes", 40, "--device", "cpu", *words)


def result(home: Path, name: str, file: str = RESULT) -> dict:
    return json.loads(newest(home / "runs" / name / "evaluation", file).read_text())


def plain(home: Path, *words: object) -> dict:
    own = ("--backbone", "tiny", "--weights", home / WEIGHTS, "--frames", 2, "--crop", 32)
    said = tasd("evaluate", *own, "--episodes", 40, "--device", "cpu", "--json", *words)
    return json.loads(said)["networks"]["backbone"]


def test_the_floor_is_the_plain_backbone_on_the_same_episodes(home):
    said = evaluate(home, "begun")
    content = result(home, "begun")
    floor, alone = content["floor"], plain(home)
    assert {key: floor[key] for key in alone} == alone
    assert (floor["backbone"], floor["weights"]) == ("tiny", str(home / WEIGHTS))
    assert (floor["matcher"], floor["frames"], floor["crop"]) == ("bimhm", 2, 32)
    own = content["networks"][content["chosen"]]
    right = [np.array(one["correct"]) / 5 for one in (floor, own)]
    gain = paired_difference(*right)
    assert floor["run_minus_floor"]["difference"]["mean"] == pytest.approx(gain.difference.mean)
    assert floor["run_minus_floor"]["worse"] == gain.worse
    assert own["correct"] != floor["correct"]  # the run has left its floor
    assert f"plain tiny (floor)  {floor['accuracy']:.2%}" in said
    other = floor["other_start"]
    assert f"untrained network   {other['accuracy']:.2%}" in said
    assert floor["validation"] >= other["validation"]
    points = f"{100 * (own['accuracy'] - floor['accuracy']):+.2f} points"
    assert f"begun minus plain tiny, same episodes: {points}" in said
    assert "sign test p =" in said
    assert plain_name(read_outcome(home / "runs/begun").path) == RESULT


def test_the_floor_is_the_start_that_was_better_on_validation(home):
    log = home / "runs" / "begun" / "metrics.jsonl"
    before = log.read_text()
    first, *rest = (json.loads(line) for line in before.splitlines())
    for line in (first, *rest):
        del line["crc32"]
    assert first["plain"].keys() == {"accuracy", "half", "matcher"}
    try:
        for plain_one, start in ((0.0, "untrained"), (1.1, None)):
            first["plain"]["accuracy"] = plain_one
            log.write_text("".join(metrics_text(line) + "\n" for line in (first, *rest)))
            said = evaluate(home, "begun")
            assert result(home, "begun")["floor"].get("start") == start
            assert ("begun minus untrained network, same episodes:" in said) == bool(start)
        del first["plain"]  # a run from before this rule
        log.write_text("".join(metrics_text(line) + "\n" for line in (first, *rest)))
        assert "untrained network" not in evaluate(home, "begun")
    finally:
        log.write_text(before)


def test_the_floor_of_all_runs_is_computed_once(home):
    evaluate(home, "begun")
    before = {path: path.stat().st_mtime_ns for path in (home / "features").iterdir()}
    assert len(before) == 1
    evaluate(home, "hyrsm")
    plain(home)
    assert {path: path.stat().st_mtime_ns for path in (home / "features").iterdir()} == before


def test_a_matcher_with_weights_leaves_the_floor_to_bimhm_by_name(home):
    said = evaluate(home, "hyrsm")
    assert "plain tiny, bimhm" in said
    assert "hyrsm minus plain tiny, bimhm, same episodes:" in said
    assert result(home, "hyrsm")["floor"]["matcher"] == "bimhm"


def test_another_matcher_is_also_that_of_the_floor(home):
    evaluate(home, "begun", "--matcher", "otam")
    floor = result(home, "begun", RESULT.replace(".json", "-otam.json"))["floor"]
    assert floor["matcher"] == "otam"
    assert floor["correct"] == plain(home, "--matcher", "otam")["correct"]


def test_the_floor_can_be_left_out(home, tmp_path):
    out = tmp_path / "result.json"
    said = evaluate(home, "begun", "--no-floor", "--out", out)
    assert "plain" not in said
    assert "same episodes" not in said
    content = json.loads(out.read_text())
    assert content.keys() & {"floor", "no_floor"} == set()
    evaluate(home, "begun")
    assert content["networks"] == result(home, "begun")["networks"]


def test_a_run_from_scratch_has_no_floor_and_says_why(home):
    said = evaluate(home, "scratch")
    assert "no floor: the run began from random weights" in said
    assert "plain" not in said
    assert result(home, "scratch")["no_floor"] == "the run began from random weights"


def test_weights_that_are_gone_are_named_and_the_run_is_evaluated_all_the_same(home):
    (home / WEIGHTS).rename(home / "elsewhere.pth")
    try:
        said = evaluate(home, "begun")
    finally:
        (home / "elsewhere.pth").rename(home / WEIGHTS)
    assert f"no floor: the weights {home / WEIGHTS} of tiny, which the run began from," in said
    assert "floor" not in result(home, "begun")


def test_several_seeds_give_the_mean_of_the_floor_too(home):
    said = evaluate(home, "begun", "--seeds", "1-2")
    assert "begun plain tiny, mean over 2 seeds:" in said


def test_two_runs_are_compared_without_floors(home):
    runs = home / "runs"
    compare = ("evaluate", "--compare", runs / "scratch", runs / "begun", "--episodes", 40)
    assert "plain" not in tasd(*compare, "--device", "cpu")
    with pytest.raises(UserError, match="--no-floor has no effect with --compare; leave it out"):
        tasd(*compare, "--no-floor")
    with pytest.raises(UserError, match="--no-floor has no effect with --backbone; leave it out"):
        tasd("evaluate", "--backbone", "tiny", "--no-floor")


def test_the_floor_of_a_run_on_features_are_the_features_themselves(home, tmp_path):
    path = tmp_path / "pooled.h5"
    own = ("--backbone", "tiny", "--weights", home / WEIGHTS, "--frames", 2, "--crop", 32)
    tasd("features", *own, "--out", path, "--device", "cpu")
    settings = ("network.depth=1", "network.feedforward=16", "data.frames=2", "episode.queries=1",
                "training.validation_episodes=8", "training.precision=float32")  # fmt: skip
    words = [word for text in settings for word in ("--set", text)]
    run = tmp_path / "frozen"
    recipe = ("--recipe", "baseline", "--episodes", 4, "--out", run, "--device", "cpu")
    tasd("train", "--features", path, *recipe, *words)
    said = tasd("evaluate", "--run", run, "--episodes", 40, "--device", "cpu")
    assert "frozen minus plain tiny, same episodes:" in said
    floor = json.loads(newest(run / "evaluation", RESULT).read_text())["floor"]
    assert floor["correct"] == plain(home)["correct"]


def test_published_weights_are_at_hand_once_they_were_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    backbone = backbones.build("resnet18")
    assert not at_hand(backbone, "imagenet")
    name = backbone.pretrained["imagenet"].weights.url.rsplit("/", 1)[-1]
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / name).touch()
    assert at_hand(backbone, "imagenet")
    assert not at_hand(backbone, str(tmp_path / "none.pth"))


def test_a_report_lists_the_floor_below_the_networks(home):
    ran = CliRunner().invoke(
        app, ["evaluate", "--run", str(home / "runs/begun"), *["--episodes", "40"]]
    )
    assert ran.exit_code == 0, ran.output
    outcome = read_outcome(home / "runs" / "begun")
    floor = result(home, "begun")["floor"]
    table = next(t for t in tables([outcome]) if t.name == "results")
    *networks, last, other = table.rows
    assert other[3].startswith("other start (untrained network, BiMHM; ")
    assert [row[3] for row in networks] == ["student"]
    assert last[:3] == ("begun", "no training", networks[0][2])
    assert last[4] == f"{100 * floor['accuracy']:.2f}"
    gain = floor["run_minus_floor"]["difference"]["mean"]
    assert f"{100 * gain:+.1f}, " in last[3]
    assert "tiny, BiMHM" in last[3]


def test_a_report_of_a_run_without_a_floor_has_no_row_for_it(home):
    CliRunner().invoke(
        app, ["evaluate", "--run", str(home / "runs/scratch"), *["--episodes", "40"]]
    )
    table = next(
        t for t in tables([read_outcome(home / "runs" / "scratch")]) if t.name == "results"
    )
    assert not [row for row in table.rows if row[1] == "no training"]
