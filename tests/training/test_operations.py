"""The operations of a training step: each pass once, and no wait of the host within them."""

import collections

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tasd import recipes
from tasd.bench.step import Bench, build_step, whole_step
from tasd.config import Config
from tasd.recipes.settings import parse_setting, replace
from tasd.training.known import known
from tasd.training.parts import TrainingParts
from tasd.training.waits import NoWaiting, Waits
from tasd.types import EpisodeBatch
from tests.runs import DISTILL, SMALL

# Recipes whose passes can be recorded on a GPU; those of the others read numbers on the way.
RECORDED = ("tasd", "paper", "baseline", "prototype", "otam", "hyrsm", "molo", "chamfer", "itanet")
READING = ("trx", "ta2n")


def config(recipe: str, *settings: tuple[str, object]) -> Config:
    texts = [*SMALL, *(DISTILL if recipe in ("tasd", "paper") else ())]
    own = [("data.frames", 4), *settings]
    return replace(
        recipes.make(recipe, dataset="folder", shot=1), [*map(parse_setting, texts), *own]
    )


class Counted(TorchDispatchMode):
    """The number of calls of each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = collections.Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls[func.name().partition(".")[0]] += 1
        return func(*args, **(kwargs or {}))


def convolutions(network: nn.Module) -> int:
    return sum(isinstance(module, nn.Conv2d) for module in network.modules())


def passes(parts: TrainingParts, batch: EpisodeBatch) -> None:
    """What is recorded on a GPU: from the pixels to the gathered figures."""
    labels = known(batch.episode, parts.learner.class_index, batch.frames.device)
    with NoWaiting():
        targets = None if parts.teacher is None else parts.teacher(batch)
        losses = parts.learner(batch, targets, gradient_norms=True, labels=labels)
        losses.total.backward()
        parts.step.passed()
        parts.step.add(losses, targets)
        parts.step.figures()


def test_the_student_goes_forwards_and_backwards_once_and_the_teacher_forwards_once():
    bench = Bench(backbone="resnet8", size=32, queries=1, precision="float32", device="cpu")
    parts, batch = build_step(bench.config("tasd"), "cpu")
    with Counted() as counted:
        whole_step(parts, batch)
    many = convolutions(parts.learner.student.backbone)
    assert counted.calls["aten::convolution"] == 2 * many
    assert counted.calls["aten::convolution_backward"] == many


def test_a_step_has_few_operations_and_reads_no_number_before_its_end():
    bench = Bench(backbone="resnet8", size=32, queries=1, precision="float32", device="cpu")
    parts, batch = build_step(bench.config("tasd"), "cpu")
    with Counted() as counted:
        result = parts.gradients([batch])
    assert counted.calls.total() < 1800  # each costs the host of a GPU some microseconds
    assert counted.calls["aten::_local_scalar_dense"] == 0
    assert counted.calls["aten::nonzero"] == 1  # of labels, on the host
    parts.update(result, ema=0.1)
    with Counted() as counted:
        parts.teacher.follow(parts.learner.student, coefficient=0.1)
    assert counted.calls["aten::_foreach_lerp_"] == 1


@pytest.mark.parametrize("recipe", RECORDED)
def test_the_passes_never_make_the_host_wait(recipe):
    parts, batch = build_step(config(recipe), "cpu")
    passes(parts, batch)


@pytest.mark.parametrize("recipe", READING)
def test_a_matcher_that_reads_numbers_is_found_out(recipe):
    parts, batch = build_step(config(recipe), "cpu")
    with pytest.raises(Waits, match="makes the host wait"):
        passes(parts, batch)


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: float(x[0]),
        lambda x: bool((x > 0).any()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: x.repeat_interleave(torch.tensor([1, 2, 3])),
    ],
)
def test_each_way_to_read_a_number_is_refused(read):
    with pytest.raises(Waits), NoWaiting():
        read(torch.tensor([1.0, 2.0, 3.0]))


def test_an_index_of_whole_numbers_and_a_number_of_the_host_wait_for_nothing():
    values, index = torch.arange(3.0, requires_grad=True), torch.tensor([2, 2])
    with NoWaiting():
        (values[index] * torch.tensor(2.0)).sum().backward()
    assert values.grad is not None
