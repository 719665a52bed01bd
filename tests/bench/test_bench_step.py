"""The benchmark of a training step: it times the step that trains, and its numbers add up."""

import dataclasses
import io
import json
import sys
from dataclasses import asdict

import pytest
import torch
from rich.console import Console

from tasd.bench import memory
from tasd.bench import step as module
from tasd.bench.field_step import FieldStep
from tasd.bench.memory import GIB, MemoryFigures, bench_memory, memory_table
from tasd.bench.step import (
    BARE,
    BASELINE,
    TASD,
    Bench,
    bench_step,
    build_step,
    step_table,
    step_times,
)
from tasd.errors import UserError

SMALL = Bench(backbone="resnet8", size=32, queries=1, precision="float32", device="cpu", rounds=1)


def printed(table) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(table)
    return " ".join(text.getvalue().split())


@pytest.fixture(scope="module")
def figures():
    return bench_step(SMALL)


def test_the_ways_are_medians_and_ratios_of_the_same_round():
    seconds = {BARE: [1.0, 2.0, 10.0], BASELINE: [1.0, 2.0, 8.0], TASD: [1.5, 2.2, 11.0]}
    bare, baseline, tasd = step_times(seconds)
    assert (bare.seconds, bare.relative) == (2.0, 1.0)
    assert (baseline.way, baseline.relative) == (BASELINE, 1.0)
    assert tasd.relative == pytest.approx(1.1)  # of 1.5, 1.1, 1.1


def test_every_kind_of_step_is_timed_and_told(figures):
    assert [way.way for way in figures.ways] == [BARE, BASELINE, TASD]
    assert all(way.seconds > 0 for way in figures.ways)
    assert figures.overhead == pytest.approx(figures.ways[-1].relative - 1)
    assert figures.videos == 10
    assert json.loads(json.dumps(asdict(figures)))["backbone"] == "resnet8"
    text = printed(step_table(figures))
    assert "resnet8 at 32 pixels, 5-way 1-shot, 1 queries per class, float32" in text
    assert f"cost {figures.overhead:.0%} beyond the networks' own work" in text


def test_the_fields_step_is_timed_where_it_has_the_backbone():
    small = dataclasses.replace(SMALL, backbone="resnet18")
    _, batch = build_step(small.config("baseline"), "cpu")
    assert module.FIELD in module._field("resnet18", batch)
    assert module._field("resnet8", batch) == {}
    step = FieldStep("resnet18", batch, autocast=False)
    before = {k: v.clone() for k, v in step._network.named_parameters()}
    losses = [step() for _ in range(2)]
    assert all(loss > 0 for loss in losses)
    assert all(not torch.equal(v, before[k]) for k, v in step._network.named_parameters())
    assert step._support.is_contiguous()


def test_a_timed_step_trains_both_networks_and_the_bare_one_neither():
    parts, batch = build_step(SMALL.config("tasd"), "cpu")
    before = {k: v.clone() for k, v in parts.learner.state_dict().items()}
    teacher = {k: v.clone() for k, v in parts.teacher.state_dict().items()}

    def moved(module, was):
        return [k for k, v in module.state_dict().items() if not torch.equal(v, was[k])]

    module._networks(parts, batch)
    assert moved(parts.learner, before) == moved(parts.teacher, teacher) == []
    module.whole_step(parts, batch)
    assert len(moved(parts.learner, before)) > 50
    assert len(moved(parts.teacher, teacher)) > 50


def test_the_memory_is_that_of_a_step_in_a_process_of_its_own():
    small = Bench(backbone="resnet8", size=112, queries=1, precision="float32", device="cpu")
    without, with_ = bench_memory(small)
    assert (without.checkpointing, with_.checkpointing) == (False, True)
    assert with_.peak < without.peak
    assert 0 < without.libraries < without.libraries + without.networks < without.peak
    text = printed(memory_table(small, (without, with_)))
    assert f"{without.on_a_card / GIB:.1f} GiB without and" in text


def test_a_graphics_card_holds_no_libraries_but_cudas():
    figures = MemoryFigures(False, "cpu", "bf16", 1 * GIB, 1 * GIB, 9 * GIB)
    assert figures.on_a_card == 8 * GIB + memory.CUDA
    there = MemoryFigures(False, "cuda:0", "bf16", 1 * GIB, 1 * GIB, 9 * GIB)
    assert there.on_a_card == 9 * GIB


def test_a_step_that_ends_early_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(UserError, match=r"ended with exit code 1 .*lower --size or --queries"):
        bench_memory(SMALL)
