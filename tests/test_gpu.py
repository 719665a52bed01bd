"""Training on a GPU: the numbers of a CPU, a run from beginning to end, memory.

Decoding, scoring and the matchers are compared with the CPU beside their own tests.
"""

import dataclasses
import gc
import subprocess

import pytest
import torch

from tasd.bench.step import Bench, build_step, whole_step
from tasd.loader import why_no_dali
from tasd.recipes.settings import replace
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tests.runs import command, lines, small_config, small_run, state

pytestmark = pytest.mark.gpu

SMALL = Bench(backbone="resnet18", size=64, queries=1, precision="float32", device="cpu")


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch):
    """float32 convolutions in full: by default a GPU rounds their factors to ten bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def test_a_gpu_computes_the_terms_and_gradients_of_a_cpu(cuda, exact):
    config = replace(SMALL.config("tasd"), [("network.dropout", 0.0)])
    here, batch = build_step(config, "cpu")
    there, _ = build_step(config, str(cuda))
    moved = dataclasses.replace(
        batch,
        frames=batch.frames.to(cuda),
        support_labels=batch.support_labels.to(cuda),
        query_labels=batch.query_labels.to(cuda),
    )
    for _ in range(2):  # in the second, student and teacher differ
        expected, found = here.gradients([batch]), there.gradients([moved])
        assert found.metrics.terms.keys() == expected.metrics.terms.keys()
        for name, term in expected.metrics.terms.items():
            assert found.metrics.terms[name] == pytest.approx(term, rel=2e-3, abs=1e-5), name
        assert found.gradient == pytest.approx(expected.gradient, rel=5e-3)
        here.update(expected, ema=0.5)
        there.update(found, ema=0.5)


@pytest.mark.parametrize("loader", ["torch", "dali"])
def test_a_run_on_a_gpu_is_resumed_there_and_read_on_a_cpu(small_store, tmp_path, cuda, loader):
    if loader == "dali" and why_no_dali():
        pytest.skip("needs NVIDIA DALI")
    config = small_config(
        ("data.loader", loader), ("training.precision", "auto"), ("training.save_every", 4)
    )
    trained = small_run(small_store, tmp_path / "run", config, device=cuda)
    assert trained.exit_code == 0
    assert trained.run.config().training.precision == "bf16"
    again = small_run(
        small_store,
        tmp_path / "run",
        trained.run.config(),
        resume=trained.run.checkpoints / "previous.pt",
        device=cuda,
    )
    assert [line["episode"] for line in lines(again.run, "train")] == list(range(1, 9))
    saved = checkpoint.load(again.run.last)
    assert {tensor.device.type for tensor in state(again.run.last).values()} == {"cpu"}
    pixels = torch.randint(0, 256, (1, 2, 32, 32, 3), dtype=torch.uint8)
    for network in checkpoint.networks(saved).values():
        with torch.inference_mode():
            assert network(pixels).frames.isfinite().all()


def test_a_compiled_network_trains(small_store, tmp_path, cuda):
    extra = (
        "--episodes",
        "4",
        "--set",
        "training.compile=true",
        "--set",
        "training.precision=bf16",
    )
    out = ("--device", str(cuda), "--out", str(tmp_path / "run"))
    # A process of its own: what checks types in tests cannot be compiled.
    ended = subprocess.run(command(small_store, *extra, *out), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert lines(Run(tmp_path / "run"), "validation")[-1]["episode"] == 4


def test_gradient_checkpointing_spares_memory_and_changes_no_gradient(cuda, exact):
    peaks, lengths = [], []
    for checkpointing in (False, True):
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        config = replace(
            SMALL.config("tasd", checkpointing=checkpointing), [("network.dropout", 0.0)]
        )
        parts, batch = build_step(config, str(cuda))
        torch.manual_seed(0)
        frames = torch.randint(0, 256, batch.frames.shape, dtype=torch.uint8).to(cuda)
        batch = dataclasses.replace(batch, frames=frames)
        lengths.append(parts.gradients([batch]).gradient)
        parts.step.undo()
        whole_step(parts, batch)
        peaks.append(torch.cuda.max_memory_allocated() - before)
        del parts, batch, frames
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-3)
    assert peaks[1] < peaks[0]
