"""Chamfer matching against published numbers, and against plain loops."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from tasd.matchers import build
from tasd.types import Task
from tests.matchers.golden import FLOAT32_DEVIATION, Golden

Video = Sequence[Sequence[float]]
DIRECTIONS = {"chamfer": "both", "chamfer-query": "query", "chamfer-support": "support"}
FORMS = [("single", "k1"), ("single", "kn"), ("joint", "kn")]


def task(shots: Sequence[int], *, queries: int = 3, frames: int = 4) -> Task:
    """An episode with classes of unequal shots, in float64."""
    generator = torch.Generator().manual_seed(11)
    labels = torch.arange(len(shots)).repeat_interleave(torch.tensor(shots))
    support = torch.randn(1, sum(shots), frames, 6, generator=generator, dtype=torch.float64)
    query = torch.randn(1, queries, frames, 6, generator=generator, dtype=torch.float64)
    return Task(len(shots), support, query, labels[None])


@pytest.mark.parametrize(("shots", "which"), FORMS)
@pytest.mark.parametrize("name", DIRECTIONS)
def test_every_golden_array_without_a_projection_is_matched(
    shared: Path, dtype: torch.dtype, name: str, shots: str, which: str
):
    golden = Golden(shared, "temporal_matching", dtype)
    factor = golden.number("temperature_weight") * golden.number("global_temperature")
    matcher = build("chamfer", 24, shots=shots, direction=DIRECTIONS[name], temperature=1 / factor)
    ours = matcher(golden.task(which)).logits[0].double()
    expected = torch.from_numpy(golden.arrays[f"logits_{name}_raw_{shots}_{which}"])
    tolerance = 1e-8 if dtype == torch.float64 else 10 * FLOAT32_DEVIATION["temporal_matching"]
    torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance)


def test_these_are_all_raw_arrays_of_the_golden_file(shared: Path):
    golden = Golden(shared, "temporal_matching", torch.float64)
    raw = {key for key in golden.arrays if key.startswith("logits_chamfer") and "_raw_" in key}
    assert raw == {f"logits_{name}_raw_{s}_{which}" for name in DIRECTIONS for s, which in FORMS}


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (
        math.hypot(*one) * math.hypot(*other) + 0.01
    )


def by_loops(
    query: Video, shots: Sequence[Video], joint: bool, direction: str, best: Callable = max
) -> float:
    """Score one query against the shots of one class."""
    if not joint:
        return sum(by_loops(query, [shot], True, direction, best) for shot in shots) / len(shots)
    frames = [frame for shot in shots for frame in shot]
    of_query = sum(best(cosine(q, s) for s in frames) for q in query) / len(query)
    of_support = sum(best(cosine(q, s) for q in query) for s in frames) / len(frames)
    return {"query": of_query, "support": of_support, "both": (of_query + of_support) / 2}[
        direction
    ]


def assert_equals_loops(shots: str, direction: str, best: Callable = max) -> None:
    given = task((2, 1, 3))
    scores = build("chamfer", 6, shots=shots, direction=direction)(given).logits[0]
    labels = given.support_labels[0].tolist()
    for query, row in zip(given.query[0].tolist(), scores.tolist(), strict=True):
        for name, score in enumerate(row):
            own = [given.support[0, i].tolist() for i, label in enumerate(labels) if label == name]
            slow = by_loops(query, own, shots == "joint", direction, best)
            assert score == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("direction", ["both", "query", "support"])
@pytest.mark.parametrize("shots", ["joint", "single"])
def test_scores_are_those_of_plain_loops(shots: str, direction: str):
    assert_equals_loops(shots, direction)


@pytest.mark.parametrize("direction", ["both", "query", "support"])
@pytest.mark.parametrize("shots", ["joint", "single"])
def test_loops_with_the_least_similar_frame_are_told_apart(shots: str, direction: str):
    with pytest.raises(AssertionError):
        assert_equals_loops(shots, direction, best=min)


def test_joint_and_single_shots_differ_in_the_querys_direction_alone():
    given = task((2, 3))

    def scores(shots: str, direction: str) -> torch.Tensor:
        return build("chamfer", 6, shots=shots, direction=direction)(given).logits

    torch.testing.assert_close(scores("joint", "support"), scores("single", "support"))
    assert (scores("joint", "query") >= scores("single", "query")).all()
    assert (scores("joint", "query") > scores("single", "query")).any()


def test_the_order_of_frames_does_not_matter():
    given = task((2, 3))
    turned = Task(given.way, given.support.flip(2), given.query, given.support_labels)
    matcher = build("chamfer", 6)
    torch.testing.assert_close(matcher(turned).logits, matcher(given).logits)
