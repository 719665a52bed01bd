"""The network that `tasd predict` takes: the one that was named, a pretrained run, a backbone."""

import json
import os

import pytest
import torch
from torchvision import models

from tasd import recipes
from tasd.errors import UserError
from tasd.predict import choice
from tasd.predict.choice import choose
from tasd.recipes.settings import replace
from tasd.runs.folder import Run, newest, newest_pretrained


def write_run(home, name, *settings, recipe="baseline", age=0):
    """A run as far as its choice needs it: its config, and the time of its best checkpoint."""
    run = Run(home / "runs" / name)
    run.checkpoints.mkdir(parents=True)
    config = replace(recipes.make(recipe, dataset="folder", shot=1), settings)
    (run.path / "config.json").write_text(config.save_text())
    run.best.touch()
    os.utime(run.best, (1e9 - age, 1e9 - age))
    return run


@pytest.fixture
def resnet18_at_hand(tmp_path, monkeypatch):
    """Published weights of ResNet-18 where torchvision looks for them; the default backbone."""
    url = models.ResNet18_Weights.IMAGENET1K_V1.url
    place = tmp_path / "torch" / "hub" / "checkpoints" / url.rsplit("/", 1)[-1]
    place.parent.mkdir(parents=True)
    torch.save(models.resnet18().state_dict(), place)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(choice, "DEFAULT_BACKBONE", "resnet18")


def test_the_newest_run_with_a_pretrained_backbone_is_found(empty_home):
    assert newest_pretrained() is None
    older = write_run(empty_home, "older", age=60)
    expected = write_run(empty_home, "newer", age=50)
    write_run(empty_home, "demo", recipe="demo", age=40)
    # A demo that begins from weights is a demo still.
    write_run(empty_home, "demo-2", ("network.weights", "imagenet"), recipe="demo", age=30)
    write_run(empty_home, "scratch", ("network.weights", "none"), age=20)
    write_run(empty_home, "features", ("data.features", "mine.h5"), age=10)
    damaged = write_run(empty_home, "damaged")
    (damaged.path / "config.json").write_text("{")
    unfinished = write_run(empty_home, "unfinished")
    unfinished.best.unlink()
    assert newest_pretrained() == expected
    assert newest() == damaged
    expected.best.unlink()
    assert newest_pretrained() == older


def test_a_pretrained_run_is_taken_and_said(home, monkeypatch):
    run = Run(home / "runs" / "tiny")
    assert newest_pretrained() is None  # it was trained from scratch
    tree = json.loads((run.path / "config.json").read_text())
    tree["network"]["weights"] = "imagenet"
    tree.pop("sha256")  # as of a version that wrote none
    (run.path / "config.json").write_text(json.dumps(tree))
    chosen = choose()
    assert chosen.network.path == run.path
    assert chosen.reason == f"the newest run with a pretrained backbone: {run.path}"
    assert choose(run=run.path).reason == ""


def test_without_a_pretrained_run_the_default_backbone_answers(home, resnet18_at_hand):
    """The home holds a run, which was trained from scratch."""
    chosen = choose()
    assert chosen.network.network == "backbone"
    assert chosen.reason == (
        f"no run in {home / 'runs'} has a pretrained backbone; an answer without training, from "
        "--backbone resnet18 with the weights imagenet and the matcher bimhm"
    )
    assert choose(backbone="resnet18").network.identity == chosen.network.identity
    with pytest.raises(UserError, match=r"--store .*mine is an option for runs, and no run in"):
        choose(store=home / "mine")


def test_weights_of_the_default_that_are_not_at_hand_are_told_with_the_reason(
    empty_home, tmp_path, monkeypatch
):
    monkeypatch.setattr(choice, "DEFAULT_BACKBONE", "resnet8")
    with pytest.raises(UserError, match=r"no run in .* and --backbone resnet8 .* --weights imag"):
        choose()
