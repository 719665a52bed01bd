"""timm's models where a backbone is named: training, evaluation, features, labels, the list."""

import json

import pytest
import torch
from typer.testing import CliRunner

from tasd import backbones
from tasd.cli.app import app
from tasd.config import Config, validate
from tasd.errors import UserError
from tasd.evaluation.candidates import of_run
from tasd.extraction.run import Extraction
from tasd.predict.untrained import untrained_network
from tasd.runs import checkpoint
from tasd.store import Store
from tasd.training import optimiser
from tasd.training.learner import build_learner
from tests.runs import small_config, small_run

pytest.importorskip("timm")
VIT = "timm/test_vit.r160_in1k"
SETTINGS = (("network.backbone", VIT), ("data.crop", 64), ("optimiser.layer_decay", 0.5))


@pytest.fixture
def weights_file(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(backbones.build(VIT).network.state_dict(), tmp_path / "vit.pth")
    return tmp_path / "vit.pth"


def test_the_default_weights_are_recorded_by_their_name():
    def made(**network):
        return validate(
            {"recipe": "tasd", "dataset": "folder", "network": network}, source="it"
        ).network

    assert made(backbone=VIT).weights == "pretrained"
    assert made(backbone=VIT, weights="imagenet").weights == "pretrained"
    assert made(backbone=VIT, weights="none").weights == "none"
    assert made(backbone="resnet18").weights == "imagenet"
    assert Config(recipe="tasd", dataset="folder").network.pooling == "own"


def test_pooling_without_effect_is_refused():
    config = small_config(("network.pooling", "mean"))
    with pytest.raises(UserError, match=r"pooling = 'mean' has no effect on tiny"):
        build_learner(config, classes=("a", "b"))


def test_a_vit_is_trained_evaluated_and_read_again(small_store, tmp_path, weights_file):
    source = ("network.weights", str(weights_file))
    config = small_config(*SETTINGS, source, episodes=2)
    run = small_run(small_store, tmp_path / "run", config).run
    saved = checkpoint.load(run.last)
    assert saved.config.network.backbone == VIT
    student = checkpoint.networks(saved)["student"]
    began = torch.load(weights_file)
    moved = student.backbone.network.state_dict()
    assert not torch.equal(moved["blocks.0.attn.qkv.weight"], began["blocks.0.attn.qkv.weight"])
    with Store(small_store) as store:
        candidate = of_run(run, saved, store, Extraction(networks=("student",)), source=run.last)
        assert candidate.videos.features.shape[2] == 64


def rates(config):
    learner = build_learner(config, classes=("a", "b"))
    built = optimiser.build(learner, config.optimiser, pretrained=True)
    names = {id(p): n for n, p in learner.named_parameters()}
    return {
        names[id(p)].removeprefix("student.backbone."): (g["lr"], g["weight_decay"])
        for g in built.param_groups
        for p in g["params"]
    }


def test_the_rates_of_a_vit_fall_by_a_factor_a_layer():
    found = rates(small_config(*SETTINGS))
    top = 5e-4 * 0.04
    blocks = len(backbones.described(VIT).network.blocks)
    expected = {"network.norm.weight": top, "network.pos_embed": top * 0.5**blocks}
    expected["network.patch_embed.proj.weight"] = top * 0.5**blocks
    for block in range(blocks):
        expected[f"network.blocks.{block}.mlp.fc1.weight"] = top * 0.5 ** (blocks - 1 - block)
    for name, rate in expected.items():
        assert found[name][0] == pytest.approx(rate, rel=1e-12), name
    assert found["network.pos_embed"][1] == 0
    assert found["network.blocks.0.mlp.fc1.weight"][1] == 1e-4
    rest = {rate for name, (rate, _) in found.items() if not name.startswith("network.")}
    assert rest == {5e-4}


def test_the_rates_of_a_resnet_fall_by_a_factor_a_block():
    found = rates(small_config(("network.backbone", "resnet18"), ("optimiser.layer_decay", 0.5)))
    top = 5e-4 * 0.04
    for layer in range(1, 5):
        for block in (0, 1):
            rate = top * 0.5 ** (8 - 2 * layer + 1 - block)
            assert found[f"layer{layer}.{block}.conv1.weight"][0] == pytest.approx(rate, rel=1e-12)
    assert found["conv1.weight"][0] == found["bn1.weight"][0] == pytest.approx(top * 0.5**8)


def test_without_layer_decay_there_are_four_groups():
    learner = build_learner(small_config(), classes=("a", "b"))
    options = small_config().optimiser
    built = optimiser.build(learner, options, pretrained=True)
    groups = [(g["lr"], g["weight_decay"]) for g in built.param_groups]
    assert sorted(groups) == sorted((r, d) for r in (5e-4 * 0.04, 5e-4) for d in (0.0, 1e-4))


def test_a_vit_labels_clips_without_training(weights_file):
    network = untrained_network(VIT, weights=str(weights_file))
    assert network.config.data.crop == 160
    with torch.no_grad():
        features = network.model(torch.zeros(1, 8, 160, 160, 3, dtype=torch.uint8))
    assert features.frames.shape == (1, 8, 64)
    with pytest.raises(UserError, match=r"nor published weights of .*give pretrained or a file"):
        untrained_network(VIT, weights="nowhere.pth")


def test_features_and_evaluation_of_a_vit(small_store, tmp_path, monkeypatch, weights_file):
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "home"))
    common = ["--backbone", VIT, "--weights", weights_file, "--store", small_store]
    common += ["--crop", 64, "--frames", 2, "--device", "cpu"]
    for words in (["features", *common], ["evaluate", *common, "--episodes", 10]):
        said = CliRunner().invoke(app, [str(word) for word in words])
        assert said.exit_code == 0, said.output or said.exception
    files = [p.name for p in (tmp_path / "home" / "features").iterdir()]
    assert f"folder-{VIT.replace('/', '_')}.h5" in files
    assert len(files) == 2


def test_the_list_shows_what_is_at_hand_and_downloads_nothing():
    said = CliRunner().invoke(app, ["backbones", "--json"])
    rows = {row["name"]: row for row in json.loads(said.output)}
    assert list(rows) == list(backbones.BACKBONES)
    assert rows["efficientnet_lite0"]["at_hand"] == ["imagenet"]
    assert rows["resnet8"]["weights"] == []
    said = CliRunner().invoke(app, ["backbones", "timm/test_vit*"])
    assert VIT in said.output
    assert "pretrained" in said.output
    assert isinstance(CliRunner().invoke(app, ["backbones", "nix*"]).exception, UserError)


def test_the_list_works_without_timm(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    said = CliRunner().invoke(app, ["backbones"])
    assert "pip install 'tasd[timm]'" in said.output
