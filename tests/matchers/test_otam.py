"""OTAM against published numbers, also those that overflowed, and against plain loops."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.matchers import build
from tasd.matchers.arithmetic import cosine_distances
from tasd.matchers.otam import aligned_distance
from tests.matchers.golden import Golden

SMOOTHING = {"l01": 0.1, "l05": 0.5}
EPS = {"eps": 0.01, "exact": 0.0}


def both_ways(distances: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    forth = aligned_distance(distances, smoothing=smoothing)
    return forth, aligned_distance(distances.mT, smoothing=smoothing)


def gradients(golden: Golden) -> dict[str, Tensor]:
    """Compute the cross-entropy of the scores and its gradient at the features."""
    task = golden.task("kn")
    inputs = (task.support.requires_grad_(), task.query.requires_grad_())
    logits = build("otam", 32)(task).logits[0]
    loss = functional.cross_entropy(logits, golden["query_labels"])
    support, query = torch.autograd.grad(loss, inputs)
    return {
        "ce_loss_kn": loss,
        "ce_grad_support_kn": support[0],
        "ce_grad_query_kn": query[0],
    }


def test_every_golden_array_of_otam_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "otam", dtype)
    ours = gradients(golden)
    for form, eps in EPS.items():
        frames = cosine_distances(golden["query"][None], golden["support"][None], eps=eps)[0]
        ours[f"frame_dist_{form}"] = frames
        for name, smoothing in SMOOTHING.items():
            forth, back = both_ways(frames, smoothing)
            ours[f"q2s_{form}_{name}"], ours[f"s2q_{form}_{name}"] = forth, back
            matcher = build("otam", 32, smoothing=smoothing, eps=eps)
            for which in ("k1", "kn"):
                logits = matcher(golden.task(which)).logits[0]
                ours[f"class_dist_{form}_{name}_{which}"] = -logits
    for name, smoothing in SMOOTHING.items():
        forth, back = both_ways(golden["rect_dist"], smoothing)
        ours[f"rect_q2s_{name}"], ours[f"rect_s2q_{name}"] = forth, back
    ours["far_q2s_l01"], ours["far_s2q_l01"] = both_ways(golden["far_dist"], 0.1)
    for which in ("k1", "kn"):
        ours[f"model_logits_{which}"] = build("otam", 32)(golden.task(which)).logits[0]
    golden.assert_all_match(ours, others=["rect_dist", "far_dist", "far_ref_fp32_q2s_l01"])


def test_far_videos_are_finite_in_float32_where_bare_exponentials_are_not(shared: Path):
    golden = Golden(shared, "otam", torch.float32)
    assert golden["far_ref_fp32_q2s_l01"].isinf().any()
    distances = golden["far_dist"].requires_grad_()
    forth, back = both_ways(distances, 0.1)
    (forth + back).sum().backward()
    assert forth.isfinite().all()
    assert back.isfinite().all()
    assert distances.grad is not None
    assert distances.grad.isfinite().all()


def by_loops(distances: list[list[float]], smoothing: float) -> float:
    """Run the recursion cell by cell, with a zero column on either side."""
    rows, columns = len(distances), len(distances[0])
    padded = [[0.0, *row, 0.0] for row in distances]
    length = [[0.0] * (columns + 2) for _ in range(rows)]

    def softmin(*values: float) -> float:
        return -smoothing * math.log(sum(math.exp(-value / smoothing) for value in values))

    for column in range(1, columns + 2):
        length[0][column] = length[0][column - 1] + padded[0][column]
    for row in range(1, rows):
        for column in range(1, columns + 2):
            ways = [length[row - 1][column - 1], length[row][column - 1]]
            if column in (1, columns + 1):
                ways.append(length[row - 1][column])
            length[row][column] = padded[row][column] + softmin(*ways)
    return length[-1][-1]


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (1, 5), (5, 1), (2, 2), (3, 7)])
def test_alignment_is_that_of_plain_loops(shape: tuple[int, int]):
    generator = torch.Generator().manual_seed(7)
    distances = torch.rand(2, *shape, generator=generator, dtype=torch.float64)
    lengths = aligned_distance(distances, smoothing=0.3)
    for matrix, length in zip(distances.tolist(), lengths.tolist(), strict=True):
        assert length == pytest.approx(by_loops(matrix, 0.3), abs=1e-12)


def test_an_action_in_the_same_order_is_nearer_than_in_reverse():
    video = torch.eye(8)[None, None]
    distances = build("otam", 8).pair_distances(video, torch.cat([video, video.flip(2)], dim=1))
    assert distances[0, 0, 0] < distances[0, 0, 1] - 1
