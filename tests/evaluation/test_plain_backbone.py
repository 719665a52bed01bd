"""`tasd evaluate --backbone`: a pretrained backbone that nothing was trained on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from tasd import backbones
from tasd.backbones.base import Backbone
from tasd.backbones.temporal import TemporalEncoder
from tasd.cli.app import app
from tasd.episodes import EpisodeSampler, evaluation_view
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.candidates import of_backbone
from tasd.evaluation.score import score
from tasd.extraction.backbone import Pooling
from tasd.extraction.extract import extract
from tasd.features.reader import open_features
from tasd.matchers import MATCHERS, build
from tasd.model import Model
from tasd.store import Store
from tasd.types import Normalisation
from tests.result_files import plain
from tests.stores import write_store

FEW = ("--frames", 2, "--crop", 64, "--device", "cpu")


def tiny(**options) -> Backbone:
    """Two strided convolutions, 16 channels."""
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    body = nn.Sequential(nn.Conv2d(8, 16, 3, 4, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return Backbone([("stem", stem), ("body", body)], 16, pretrained={}, **options)


def write_weights(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    torch.save(tiny().state_dict(), path)
    return path


@pytest.fixture
def home(small_store, tmp_path, monkeypatch) -> Path:
    """$TASD_HOME with a store, weights.pth and the backbone tiny."""
    monkeypatch.setitem(backbones.BACKBONES, "tiny", tiny)
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    (tmp_path / "stores").mkdir()
    (tmp_path / "stores" / "folder").symlink_to(small_store)
    write_weights(tmp_path / "weights.pth", 0)
    return tmp_path


def tasd(*words: object) -> str:
    """Run a command; return its output, or raise its error."""
    said = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(said.exception, UserError):
        raise said.exception
    assert said.exit_code == 0, said.output
    return said.output


def evaluate(home: Path, *words: object) -> str:
    own = ("evaluate", "--backbone", "tiny", "--weights", home / "weights.pth", *FEW)
    return tasd(*own, "--episodes", 50, *words)


def cached(home: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (home / "features").glob("*")}


@pytest.mark.parametrize("matcher", ["bimhm", "otam", "prototype"])
def test_the_accuracy_is_that_of_extraction_and_scoring_by_hand(home, tmp_path, matcher):
    out = tmp_path / "result.json"
    evaluate(home, "--matcher", matcher, "--queries", 2, "--seed", 3, "--out", out)
    backbone = tiny()
    backbone.load_state_dict(torch.load(home / "weights.pth", weights_only=True))
    encoder = TemporalEncoder(16, depth=0, heads=1, feedforward=1, dropout=0.0)
    compare = build(matcher, 16, frames=2)
    model = Model(backbone, encoder, compare, precision="float32").eval()
    with Store(home / "stores/folder") as store:
        by_hand = extract(
            model,
            store,
            tmp_path / "by-hand.h5",
            classes=store.classes("test"),
            split="test",
            view=lambda video: evaluation_view(video, 2),
            size=64,
        )
        sampler = EpisodeSampler(store.classes("test"), way=5, shot=1, queries=2, length=50, seed=3)
        episodes = EpisodeTable.draw(sampler)
        result = score(by_hand, episodes, compare)
        how = Pooling("tiny", weights=str(home / "weights.pth"), frames=2, crop=64)
        candidate = of_backbone(store, how, matcher=matcher)
        hash = store.hash
    found = candidate.score(episodes)["backbone"].logits  # of the folded network: equal to rounding
    np.testing.assert_allclose(found, result.logits, rtol=1e-5, atol=1e-5)
    content = json.loads(out.read_text())
    network = content["networks"]["backbone"]
    assert network["correct"] == result.correct.sum(axis=1).tolist()
    assert network["accuracy"] == pytest.approx(result.accuracy.mean())
    origin = content["provenance"]
    assert origin["backbone"] == "tiny"
    assert origin["weights"] == str(home / "weights.pth")
    assert origin["matcher"] == matcher
    assert origin["store_sha256"] == hash
    assert (origin["frames"], origin["crop"], origin["precision"]) == (2, 64, "float32")


def test_the_features_are_computed_once_and_used_again_by_every_matcher(home):
    said = evaluate(home)
    assert "tiny, bimhm" in said
    assert f"no training: the backbone alone, weights {home / 'weights.pth'}" in said
    before = cached(home)
    assert len(before) == 1
    for words in (("--matcher", "otam"), ("--shot", 2, "--seed", 4)):
        evaluate(home, *words)
    assert cached(home) == before
    (path,) = before
    assert open_features(path).classes("test").keys() == {f"test class {i}" for i in range(5)}
    assert open_features(path).groups is not None
    files = {plain(file) for file in (home / "evaluation").iterdir()}
    shapes = {"bimhm-test-5w1s-1q-50e-seed0", "otam-test-5w1s-1q-50e-seed0",
              "bimhm-test-5w2s-1q-50e-seed4"}  # fmt: skip
    stem = plain(path.with_suffix(""))
    assert files == {f"{stem}-{shape}.json" for shape in shapes}


@pytest.mark.parametrize(
    "words",
    [("--crop", 32), ("--frames", 3), ("--half",), ("--split", "val"), ("--precision", "bf16")],
)
def test_whatever_changes_the_features_has_a_cache_file_of_its_own(home, words):
    evaluate(home)
    before = cached(home)
    evaluate(home, *words)
    after = cached(home)
    assert len(after) == 2
    assert before.items() < after.items()


def test_other_weights_under_the_same_name_and_another_store_are_other_features(home, tmp_path):
    evaluate(home)
    write_weights(home / "weights.pth", 1)
    evaluate(home)
    other = write_store(tmp_path / "other", videos=5)
    evaluate(home, "--store", other)
    assert len(cached(home)) == 3
    means = {float(np.mean(open_features(path).features)) for path in cached(home)}
    assert len(means) == 3


def test_the_same_weights_in_another_file_are_the_same_features(home):
    evaluate(home)
    (home / "weights.pth").rename(home / "moved.pth")
    before = cached(home)
    evaluate(home, "--weights", home / "moved.pth")
    assert cached(home) == before
    said = json.loads(evaluate(home, "--weights", home / "moved.pth", "--json"))
    assert said["provenance"]["weights"] == str(home / "moved.pth")


def test_the_crop_is_by_default_that_of_the_backbone(home, monkeypatch):
    def small() -> Backbone:
        backbone = tiny()
        backbone.size = 48
        return backbone

    monkeypatch.setitem(backbones.BACKBONES, "small", small)
    words = ("--backbone", "small", "--weights", home / "weights.pth", "--frames", 2)
    said = json.loads(tasd("evaluate", *words, "--episodes", 9, "--json", "--device", "cpu"))
    assert said["provenance"]["crop"] == 48
    tasd("features", *words, "--out", home / "pooled.h5", "--device", "cpu")
    assert open_features(home / "pooled.h5").about["crop"] == 48


def test_weights_that_saw_the_test_classes_are_refused_unless_told(home, tmp_path, monkeypatch):
    def of_clips() -> Backbone:
        backbone = tiny(clips=False)
        backbone.pretrained = {"kinetics400": None}
        return backbone

    store = write_store(tmp_path / "kinetics", dataset="kinetics")
    monkeypatch.setitem(backbones.BACKBONES, "clips", of_clips)
    monkeypatch.setattr("tasd.model.weights.load", lambda backbone, source, **_: Normalisation())
    words = ("evaluate", "--backbone", "clips", "--weights", "kinetics400", "--store", store, *FEW)
    with pytest.raises(UserError, match="have seen all classes of Kinetics-400") as refused:
        tasd(*words)
    assert "--allow-pretrained-overlap" in str(refused.value)
    assert cached(home) == {}
    said = tasd(*words, "--episodes", 20, "--allow-pretrained-overlap")
    assert "NOT few-shot: the pretrained weights were trained on these classes" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--run", "x"), "--run, --compare, --features and --backbone exclude one another"),
        (("--compare", "x", "y"), "--run, --compare, --features and --backbone exclude one"),
        (("--features", "x"), "--run, --compare, --features and --backbone exclude one another"),
        (("--network", "student"), "--network is an option for runs, not for --backbone; leave"),
        (("--checkpoint", "x"), "--checkpoint is an option for runs, not for --backbone; leave"),
        (("--weights", "none"), "--weights none leaves tiny with random weights"),
        (("--weights", "/nowhere.pth"), "--weights /nowhere.pth: there is no such file"),
        (("--backbone", "tyni"), "no backbone is called 'tyni'"),
        (("--matcher", "hyrsm"), "--matcher hyrsm has weights that must be trained"),
        (("--crop", 96), "a crop of 96 pixels does not fit video"),
        (("--way", 9), "--way 9 asks for more classes than the test classes of"),
        (("--store", "/nowhere"), "there is no store at /nowhere"),
    ],
)
def test_a_persons_mistake_is_one_line_and_leaves_no_features(home, words, said):
    with pytest.raises(UserError) as refused:
        evaluate(home, *words)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert cached(home) == {}


@pytest.mark.parametrize("words", [("--weights", "x"), ("--frames", 4), ("--crop", 64)])
def test_options_of_a_backbone_need_one(home, words):
    with pytest.raises(UserError, match=f"{words[0]} is an option for --backbone; leave it out"):
        tasd("evaluate", *words)


def test_a_matcher_that_reads_maps_gets_them(home, monkeypatch):
    class OfMaps(type(build("bimhm", 16))):
        needs_maps = True

    monkeypatch.setitem(MATCHERS, "of_maps", OfMaps)
    how = Pooling("tiny", weights=str(home / "weights.pth"), frames=2, crop=64)
    with Store(home / "stores/folder") as store:
        assert of_backbone(store, how).videos.maps is None
        assert of_backbone(store, how, matcher="of_maps").videos.maps.shape[2:] == (16, 8, 8)
