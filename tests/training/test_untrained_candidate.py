"""The start of a run: equal networks, the untrained one as a candidate, the way of validation."""

import json
from pathlib import Path

import pytest
import torch

from tasd.config import Config
from tasd.errors import UserError
from tasd.evaluation.floor import untrained_network, validated_starts
from tasd.losses.norm import EPSILON
from tasd.recipes.settings import replace
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.runs.rules import read_config
from tasd.training.learner import build_learner
from tasd.training.teacher import Teacher
from tests import stores
from tests.narrow import tiny
from tests.runs import lines, small_config, small_run
from tests.test_kept import KEPT
from tests.training.test_teacher import VIDEOS, batch
from tests.training.test_teacher import config as teacher_config

RUNNING = ("distill.relation_statistics", "running")


def relation_loss(config: Config) -> float:
    """PR's loss of a student and its teacher, as they are at episode 0, with equal maps."""
    torch.manual_seed(0)
    learner = build_learner(config, classes=tuple(VIDEOS)).train()
    learner.student.backbone.eval()
    teacher = Teacher(learner.student, config.distill)
    one = batch()
    return learner(one, teacher(one)).terms["pr"].item()


def test_the_relations_of_equal_networks_on_equal_pixels_are_at_the_floor():
    assert relation_loss(teacher_config()) == pytest.approx(EPSILON**0.5, rel=1e-3)
    assert relation_loss(teacher_config(RUNNING)) > 0.1


def test_the_teacher_leaves_its_running_statistics_to_the_student():
    learner = build_learner(teacher_config(), classes=tuple(VIDEOS)).train()
    teacher = Teacher(learner.student, teacher_config().distill)
    before = {name: buffer.clone() for name, buffer in teacher.model.named_buffers()}
    teacher(batch())
    for name, buffer in teacher.model.named_buffers():
        assert torch.equal(buffer, before[name]), name


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(tiny().state_dict(), tmp_path / "start.pth")
    return tmp_path / "start.pth"


def begun(weights: Path | str, *settings: tuple[str, object], episodes: int = 4) -> Config:
    own = [("network.weights", str(weights)),
           ("training.validation_every", 2)]  # fmt: skip
    return small_config(*own, *settings, recipe="baseline", episodes=episodes)


HARMFUL = ("optimiser.lr", 50.0)


def test_training_that_harms_leaves_the_untrained_network_as_the_best(
    small_store, tmp_path, weights
):
    kept = ("training.checkpoint_every", 2)
    best = small_run(small_store, tmp_path / "run", begun(weights, HARMFUL, kept)).best
    assert best.episode == 0
    said = (tmp_path / "log.txt").read_text()
    assert "training has not beaten the untrained network (validation" in said
    assert "plain backbone without encoder" in said
    run = Run(tmp_path / "run")
    start = load(run.checkpoints / "episode-000000.pt").light()
    assert load(run.best).progress.best == best
    rebuilt = untrained_network(load(run.best)).state_dict()
    for name, tensor in load(run.best).learner.items():
        assert torch.equal(tensor, start.learner[name])
        assert torch.equal(tensor, rebuilt[name.removeprefix("student.")])
    first = lines(run, "validation")[0]
    assert first["student"]["accuracy"] == best.accuracy
    starts = {"untrained": best.accuracy, "plain": first["plain"]["accuracy"]}
    assert validated_starts(run) == starts


def test_the_old_rule_takes_the_best_of_training_alone(small_store, tmp_path, weights):
    old = [(f"training.{start}_candidate", False) for start in ("untrained", "plain")]
    assert small_run(small_store, tmp_path / "run", begun(weights, HARMFUL, *old)).best.episode > 0
    assert "has not beaten" not in (tmp_path / "log.txt").read_text()


def test_a_network_from_scratch_is_no_candidate_before_training(small_store, tmp_path):
    assert small_run(small_store, tmp_path / "run", begun("none", HARMFUL)).best.episode > 0
    with pytest.raises(UserError, match=r"no effect while network\.weights is 'none'"):
        replace(begun("none"), [("training.untrained_candidate", False)])


def test_a_run_that_is_resumed_at_its_start_keeps_the_untrained_candidate(
    small_store, tmp_path, weights
):
    config = begun(weights, HARMFUL, ("training.checkpoint_every", 2))
    first = small_run(small_store, tmp_path / "run", config)
    start = first.run.checkpoints / "episode-000000.pt"
    again = small_run(small_store, tmp_path / "run", config, resume=start)
    assert again.best == first.best == load(first.run.best).progress.best
    assert [line["episode"] for line in lines(first.run, "validation")] == [0, 2, 4]


def trained_on(monkeypatch, count: int, folder: Path, *settings: tuple[str, object]) -> Run:
    """Train on a store with ``count`` validation classes."""
    every = stores.SPLITS
    own = every | {"val": every["val"][:count], "train": every["train"] + every["val"][count:]}
    with monkeypatch.context() as patch:
        patch.setattr(stores, "SPLITS", own)
        store = stores.write_store(folder.with_suffix(".store"), videos=2, frames=4, side=40)
    return small_run(store, folder, begun("none", *settings, episodes=2)).run


def test_fewer_validation_classes_are_validated_in_that_way_and_it_is_said(monkeypatch, tmp_path):
    run = trained_on(monkeypatch, 3, tmp_path / "run")
    assert {line["way"] for line in lines(run, "validation")} == {3}
    said = (tmp_path / "log.txt").read_text()
    assert "validation is 3-way and training 5-way: there are 3 validation classes" in said
    assert "episode 2: 3-way validation student" in said
    own = trained_on(monkeypatch, 5, tmp_path / "own")
    assert not [line for line in lines(own, "validation") if "way" in line]
    two = trained_on(monkeypatch, 5, tmp_path / "two", ("training.validation_way", 2))
    assert {line["way"] for line in lines(two, "validation")} == {2}


@pytest.mark.parametrize(("count", "said"), [(0, "are 0"), (1, "is 1")])
def test_below_two_validation_classes_training_refuses(monkeypatch, tmp_path, count, said):
    with pytest.raises(UserError, match=f"the validation classes of .*: there {said}, and .* 2 or"):
        trained_on(monkeypatch, count, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_ways_than_validation_classes_are_refused(monkeypatch, tmp_path):
    with pytest.raises(UserError, match=r"training.validation_way = 4 asks for more .*\(3\)"):
        trained_on(monkeypatch, 3, tmp_path / "run", ("training.validation_way", 4))


def test_a_config_from_before_keeps_its_rules():
    tree = json.loads((KEPT / "run" / "config.json").read_text())
    assert read_config(tree, source="kept").distill.relation_statistics == "running"
    tree["network"]["weights"] = "imagenet"
    old = read_config(tree, source="kept")
    assert not old.training.untrained_candidate
    assert old.training.validation_way is None  # the rule of then: as many classes as there are
    assert begun("imagenet").training.untrained_candidate
