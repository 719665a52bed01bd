"""Training on a GPU: the numbers of a CPU, a run from beginning to end, memory.

Decoding, scoring and the matchers are compared with the CPU beside their own tests.
"""

import dataclasses
import gc
import subprocess

import pytest
import torch

from tasd.bench.step import Bench, bench_step, build_step, whole_step
from tasd.loader import why_no_dali
from tasd.recipes.settings import replace
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.training import optimiser
from tests.runs import assert_equal_bits, command, lines, small_config, small_run, state

pytestmark = pytest.mark.gpu

SMALL = Bench(backbone="resnet18", size=64, queries=1, precision="float32", device="cpu")


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch):
    """float32 convolutions in full: by default a GPU rounds their factors to ten bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def same_sums(exact, monkeypatch):
    """Convolutions whose sums always have one order."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


RECORDED = "the passes of a step are replayed from a CUDA graph"


def test_twenty_replayed_steps_are_plain_steps(cuda, same_sums):
    """Dropout is on; each step begins with the weights of the plain ones, so that none adds up."""
    config = dataclasses.replace(SMALL, device=str(cuda)).config("tasd")
    plain, batch = build_step(config, str(cuda))
    recorded = build_step(config, str(cuda))[0].record(batch)
    assert recorded.recorded.line.startswith(RECORDED), recorded.recorded.line
    random = torch.Generator(cuda).manual_seed(0)
    for number in range(20):
        pixels = torch.randint(
            0, 256, batch.frames.shape, dtype=torch.uint8, device=cuda, generator=random
        )
        episode = dataclasses.replace(batch.episode, index=number)
        one = dataclasses.replace(batch, frames=pixels, episode=episode)
        told = []
        for parts in (plain, recorded):
            optimiser.set_rate(parts.optimiser, 1 / (1 + number))
            told.append(parts.gradients([one], norms=number % 5 == 0))
        for name, term in told[0].metrics.terms.items():
            found = told[1].metrics.terms[name]["raw"]
            assert found == pytest.approx(term["raw"], rel=1e-4, abs=1e-6), (number, name)
        assert told[1].gradient == pytest.approx(told[0].gradient, rel=1e-3)
        assert told[1].gradient_norms.keys() == told[0].gradient_norms.keys()
        for parts, result in zip((plain, recorded), told, strict=True):
            parts.update(result, ema=0.1)
        recorded.learner.load_state_dict(plain.learner.state_dict())
        recorded.teacher.load_state_dict(plain.teacher.state_dict())


def said(folder) -> str:
    return " ".join((folder.parent / "log.txt").read_text().split())


def test_a_run_of_replayed_steps_is_resumed_to_the_bit(small_store, tmp_path, cuda, same_sums):
    config = small_config(("training.save_every", 4))
    whole = small_run(small_store, tmp_path / "whole", config, device=cuda).run
    assert RECORDED in said(tmp_path / "whole")
    part = small_run(small_store, tmp_path / "part", config, device=cuda).run
    resumed = small_run(
        small_store,
        tmp_path / "part",
        part.config(),
        resume=part.checkpoints / "previous.pt",
        device=cuda,
    )
    assert resumed.exit_code == 0
    assert_equal_bits(whole.last, resumed.run.last)


def test_a_save_between_two_replays_is_of_its_moment(small_store, tmp_path, cuda, same_sums):
    """A copy that a replay overtakes would hold weights or statistics of a later episode."""
    every = small_config(("training.save_every", 1), ("training.checkpoint_every", 4))
    seldom = small_config(("training.save_every", 100), ("training.checkpoint_every", 4))
    one = small_run(small_store, tmp_path / "one", every, device=cuda).run
    other = small_run(small_store, tmp_path / "other", seldom, device=cuda).run
    for name in ("episode-000004.pt", "last.pt"):
        assert_equal_bits(one.checkpoints / name, other.checkpoints / name)


def test_a_matcher_that_reads_numbers_trains_unrecorded_and_says_why(
    small_store, tmp_path, cuda, same_sums
):
    config = small_config(("data.frames", 4), recipe="ta2n")
    assert small_run(small_store, tmp_path / "run", config, device=cuda).exit_code == 0
    assert "not recorded as a CUDA graph: aten::" in said(tmp_path / "run")


def test_a_run_of_a_gpu_goes_on_on_a_cpu_and_back(small_store, tmp_path, cuda):
    config = small_config(("training.save_every", 4))
    run = small_run(small_store, tmp_path / "run", config, device=cuda).run
    for device in ("cpu", cuda):
        again = small_run(
            small_store,
            tmp_path / "run",
            run.config(),
            resume=run.checkpoints / "previous.pt",
            device=device,
        )
        assert again.exit_code == 0


def test_the_benchmark_times_recorded_and_plain_steps(cuda):
    small = dataclasses.replace(SMALL, device=str(cuda), precision="auto", rounds=2)
    times = bench_step(small)
    assert times.recorded.startswith(RECORDED), times.recorded
    names = [way.way for way in times.ways]
    assert names[:4] == ["bare networks", "baseline step", "tasd step", "tasd step, not recorded"]
    assert len(names) == 6


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
