"""The precision is bf16 where the device has it, float32 where it would only imitate bf16."""

import pytest
import torch

from tasd import recipes
from tasd.device import native_precision, resolve_precision
from tasd.training.distributed import World
from tasd.training.plan import resolve

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=["AVX512", "AVX2", "DEFAULT"])
def capability(request, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
    return request.param


def test_auto_is_bf16_on_a_gpu_and_on_processors_with_wide_vectors(capability):
    assert resolve_precision("auto", CUDA) == "bf16"
    assert resolve_precision("auto", CPU) == ("bf16" if capability == "AVX512" else "float32")


@pytest.mark.parametrize("choice", ["bf16", "float32"])
def test_what_is_asked_for_is_what_is_trained_in(capability, choice):
    assert resolve_precision(choice, CPU) == resolve_precision(choice, CUDA) == choice


def test_a_network_trained_in_bf16_is_evaluated_in_what_the_device_has(capability):
    assert native_precision("bf16", CPU) == ("bf16" if capability == "AVX512" else "float32")
    assert native_precision("bf16", CUDA) == "bf16"
    assert native_precision("float32", CPU) == native_precision("float32", CUDA) == "float32"


def test_the_choice_is_written_down_for_a_resume_on_another_machine(capability):
    config = recipes.make("tasd", dataset="folder", shot=1)
    chosen = resolve(config, World(0, 1, CPU)).training.precision
    assert chosen == ("bf16" if capability == "AVX512" else "float32")
