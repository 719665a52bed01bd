"""The optimiser on another device: one kernel on a GPU, and the state of a file from there."""

import copy

import pytest
import torch
from torch import nn

from tasd.bench.step import Bench
from tasd.config import OptimiserOptions
from tasd.recipes.settings import replace
from tasd.training import optimiser
from tasd.training.learner import Learner, build_learner

NAMES = ("adamw", "adam", "sgd")
SMALL = Bench(backbone="tiny", size=32, queries=1, precision="float32", device="cpu")


@pytest.fixture(scope="module")
def learner() -> Learner:
    torch.manual_seed(0)
    config = replace(SMALL.config("baseline"), [("network.depth", 1)])
    return build_learner(config, classes=("a", "b"))


def built(learner: Learner, name: str, device: str, monkeypatch) -> torch.optim.Optimizer:
    """An optimiser as on ``device``, over weights on the CPU, which has the one kernel too."""
    at_once = optimiser._at_once(torch.device(device))
    monkeypatch.setattr(optimiser, "_at_once", lambda _: at_once)
    options = OptimiserOptions(name=name, momentum=0.9 if name == "sgd" else 0.0)
    return optimiser.build(copy.deepcopy(learner), options, pretrained=False)


def weights(made: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [weight for group in made.param_groups for weight in group["params"]]


def moved(made: torch.optim.Optimizer, *, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for weight in weights(made):
        weight.grad = torch.empty_like(weight).copy_(torch.randn(weight.shape, generator=random))
    optimiser.step(made)


def as_from_a_file(state: dict) -> dict:
    """The state with tensors in the order of their dimensions, as files have them."""
    moments = {
        index: {
            key: v.clone(memory_format=torch.contiguous_format) if torch.is_tensor(v) else v
            for key, v in of.items()
        }
        for index, of in state["state"].items()
    }
    return {**state, "state": moments}


def test_a_gradient_gets_the_strides_of_its_weight_for_the_one_kernel():
    weight = nn.Parameter(torch.arange(8.0).reshape(4, 2, 1, 1))
    weight.data = weight.data.to(memory_format=torch.channels_last)
    made = torch.optim.SGD([weight], lr=1.0, fused=True)
    weight.grad = torch.arange(8.0).reshape(4, 2, 1, 1).as_strided((4, 2, 1, 1), (2, 1, 1, 1))
    assert weight.grad.stride() != weight.stride()
    optimiser.step(made)
    assert weight.grad.stride() == weight.stride()
    assert torch.equal(weight, torch.zeros(4, 2, 1, 1))


@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu_a_group_is_moved_by_one_kernel_and_on_a_cpu_as_ever(learner, name, monkeypatch):
    for device, kernel in (("cuda", (True, None)), ("cpu", (None, True))):
        made = built(learner, name, device, monkeypatch)
        assert {(g["fused"], g["foreach"]) for g in made.param_groups} == {kernel}
        monkeypatch.undo()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("before", "after"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_checkpoint_of_another_device_goes_on_with_the_kernels_of_this_one(
    learner, name, before, after, monkeypatch
):
    first = built(learner, name, before, monkeypatch)
    monkeypatch.undo()
    moved(first, seed=1)
    second = built(learner, name, after, monkeypatch)
    kernels = [(g["fused"], g["foreach"]) for g in second.param_groups]
    for mine, theirs in zip(weights(second), weights(first), strict=True):
        mine.data.copy_(theirs.data)
    optimiser.load(second, as_from_a_file(first.state_dict()))
    assert [(g["fused"], g["foreach"]) for g in second.param_groups] == kernels
    assert [g["lr"] for g in second.param_groups] == [g["lr"] for g in first.param_groups]
    moved(first, seed=2)
    moved(second, seed=2)
    for mine, theirs in zip(weights(second), weights(first), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
