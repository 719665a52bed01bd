"""The bookkeeping of one optimiser step."""

import pytest
import torch

from tasd.bench.step import Bench, build_step
from tasd.config import Config
from tasd.recipes.settings import replace
from tasd.training.parts import TrainingParts

SMALL = Bench(backbone="resnet8", size=32, queries=1, precision="float32", device="cpu")


def config(*settings: tuple[str, object]) -> Config:
    return replace(SMALL.config("baseline"), [("network.dropout", 0.0), *settings])


def frozen_backbone(parts: TrainingParts) -> TrainingParts:
    """The optimiser without the backbone, as with optimiser.backbone_scale = 0."""
    backbone = {id(parameter) for parameter in parts.learner.student.backbone.parameters()}
    for group in parts.optimiser.param_groups:
        group["params"] = [p for p in group["params"] if id(p) not in backbone]
    return parts


def test_gradients_of_weights_that_do_not_learn_do_not_add_up_from_step_to_step():
    parts, batch = build_step(config(("optimiser.lr", 1e-12)), "cpu")
    parts = frozen_backbone(parts)
    norms = []
    for _ in range(3):
        result = parts.gradients([batch])
        norms.append(result.gradient)
        parts.update(result, ema=0.0)
    assert norms[1:] == pytest.approx(norms[:-1], rel=1e-2)


def test_an_undone_step_leaves_weights_statistics_and_gradients_as_they_were():
    parts, batch = build_step(config(), "cpu")
    before = {name: tensor.clone() for name, tensor in parts.learner.state_dict().items()}
    parts.gradients([batch])
    parts.step.undo()
    for name, tensor in parts.learner.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in parts.learner.parameters())


def test_a_step_whose_gradient_is_not_finite_says_so():
    parts, batch = build_step(config(), "cpu")
    assert parts.gradients([batch]).finite
    parts.step.undo()
    with torch.no_grad():
        next(parts.learner.student.encoder.parameters()).fill_(float("nan"))
    assert not parts.gradients([batch]).finite
