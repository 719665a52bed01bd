"""A run whose features are normalised within classes: fitted once, kept with the weights."""

import pytest
import torch

from tasd.evaluation.candidates import of_run
from tasd.evaluation.floor import with_floor
from tasd.extraction.run import Extraction
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.store import Store
from tests.narrow import tiny
from tests.runs import small_config, small_run

WCCN = ("network.wccn", 2.0)
NAMES = ("student.wccn.mean", "student.wccn.matrix")


@pytest.fixture
def config(tmp_path):
    torch.manual_seed(0)
    torch.save(tiny().state_dict(), tmp_path / "start.pth")
    own = [("network.weights", str(tmp_path / "start.pth"))]
    frozen = [("optimiser.backbone_scale", 0.0), ("training.save_every", 2)]
    return small_config(*own, *frozen, WCCN, recipe="tasd", episodes=4)


def test_it_is_fitted_before_the_first_step_and_never_trained(small_store, tmp_path, config):
    kept = config.model_copy(
        update={"training": config.training.model_copy(update={"checkpoint_every": 2})}
    )
    small_run(small_store, tmp_path / "run", kept)
    run = Run(tmp_path / "run")
    start = load(run.checkpoints / "episode-000000.pt").learner
    last = load(run.last)
    channels = len(start[NAMES[0]])
    assert not torch.equal(start[NAMES[1]], torch.eye(channels))
    for name in NAMES:
        assert torch.equal(last.learner[name], start[name])
        assert torch.equal(last.teacher[name.replace("student", "model")], start[name])


def test_a_resumed_run_keeps_the_fit(small_store, tmp_path, config):
    small_run(small_store, tmp_path / "whole", config)
    short = config.model_copy(
        update={"training": config.training.model_copy(update={"episodes": 2})}
    )
    small_run(small_store, tmp_path / "part", short)
    part = Run(tmp_path / "part")
    before = load(part.last).learner
    small_run(small_store, tmp_path / "part", config, resume=part.last)
    after, whole = load(part.last).learner, load(Run(tmp_path / "whole").last).learner
    for name in NAMES:
        assert torch.equal(after[name], before[name])
        assert torch.equal(after[name], whole[name])


def test_the_floor_is_the_plain_backbone_and_not_the_fitted_start(small_store, tmp_path, config):
    small_run(small_store, tmp_path / "run", config)
    run, how = Run(tmp_path / "run"), Extraction()
    saved = load(run.best)
    with Store(small_store) as store:
        candidate = with_floor(
            of_run(run, saved, store, how, source=run.best), run, saved, store, how
        )
    assert candidate.floor is not None
    assert candidate.floor.origin["backbone"] == "tiny"
    assert candidate.other_start is None


def test_a_run_that_training_does_not_help_says_what_it_began_with(small_store, tmp_path, config):
    harmful = config.model_copy(
        update={"optimiser": config.optimiser.model_copy(update={"lr": 50.0})}
    )
    small_run(small_store, tmp_path / "run", harmful)
    said = (tmp_path / "log.txt").read_text()
    assert "best.pt holds the start (validation " in said
