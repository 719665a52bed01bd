"""BiMHM against published numbers and plain loops, and the loops against broken metrics."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tasd.matchers import build
from tasd.matchers.bimhm import bidirectional_hausdorff
from tasd.types import Task
from tests.matchers.golden import Golden

Video = list[list[float]]


def test_every_golden_array_of_bimhm_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "bimhm", dtype)
    forms = {
        "logits_shotmean": build("bimhm", 32, shots="mean"),
        "logits_proto": build("bimhm", 32, shots="prototype"),
        "logits_eps_proto": build("bimhm", 32, eps=0.01),
        "logits_eps_proto_query_side_only": build("bimhm", 32, eps=0.01, directions="query"),
    }
    ours = {
        f"{name}_{which}": matcher(golden.task(which)).logits[0]
        for name, matcher in forms.items()
        for which in ("k1", "kn")
    }
    pairs = forms["logits_shotmean"].pair_distances(golden["query"][None], golden["support"][None])
    golden.assert_all_match(ours | {"pair_dist": pairs[0]})


def cosine_distance(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def by_loops(query: Video, support: Video) -> float:
    """Sum the distance of each frame to the nearest of the other video, in both directions."""
    total = 0.0
    for frame in query:
        total += min(cosine_distance(frame, other) for other in support)
    for frame in support:
        total += min(cosine_distance(frame, other) for other in query)
    return total


def agrees_with_loops(metric: Callable[[Tensor], Tensor]) -> bool:
    """True where a metric on (query_time, support_time) is that of the loops, for unequal times."""
    generator = torch.Generator().manual_seed(3)
    for query_time, support_time in ((8, 8), (5, 3), (1, 4)):
        query = torch.randn(query_time, 6, generator=generator, dtype=torch.float64)
        support = torch.randn(support_time, 6, generator=generator, dtype=torch.float64)
        unit = [x / x.norm(dim=1, keepdim=True) for x in (query, support)]
        expected = by_loops(query.tolist(), support.tolist())
        if abs(metric(1 - unit[0] @ unit[1].T).item() - expected) > 1e-12:
            return False
    return True


def test_the_metric_is_that_of_plain_loops():
    assert agrees_with_loops(bidirectional_hausdorff)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda d: d.amin(dim=-1).sum(-1), id="missing direction"),
        pytest.param(lambda d: 2 * d.amin(dim=-1).sum(-1), id="one direction twice"),
        pytest.param(lambda d: bidirectional_hausdorff(d, reduction="mean"), id="means"),
        pytest.param(lambda d: d.amin(dim=-1).amax(-1) + d.amin(dim=-2).amax(-1), id="maximum"),
        pytest.param(lambda d: d.flatten().amin() + d.amin(dim=-2).sum(-1), id="wrong axis"),
        pytest.param(lambda d: d.amax(dim=-1).sum(-1) + d.amax(dim=-2).sum(-1), id="farthest"),
    ],
)
def test_the_loops_tell_a_broken_metric(broken: Callable[[Tensor], Tensor]):
    assert not agrees_with_loops(broken)


def test_the_matcher_is_the_loops_over_prototypes_and_shots():
    generator = torch.Generator().manual_seed(4)
    support = torch.randn(1, 5, 4, 6, generator=generator, dtype=torch.float64)
    query = torch.randn(1, 2, 4, 6, generator=generator, dtype=torch.float64)
    labels = torch.tensor([[1, 0, 1, 1, 0]])
    task = Task(2, support, query, labels)
    for shots in ("prototype", "mean"):
        logits = build("bimhm", 6, shots=shots)(task).logits[0]
        for video in range(2):
            for name in range(2):
                own = support[0, labels[0] == name]
                shown = [own.mean(dim=0)] if shots == "prototype" else list(own)
                each = [by_loops(query[0, video].tolist(), other.tolist()) for other in shown]
                assert logits[video, name].item() == pytest.approx(-sum(each) / len(each))


def test_means_are_sums_divided_by_the_frames(shared: Path):
    task = Golden(shared, "bimhm", torch.float64).task("kn")
    means = build("bimhm", 32, reduction="mean")(task).logits
    torch.testing.assert_close(8 * means, build("bimhm", 32)(task).logits)


def test_ties_share_the_gradient():
    distances = torch.full((2, 2), 0.5, requires_grad=True)
    bidirectional_hausdorff(distances).backward()
    assert distances.grad is not None
    torch.testing.assert_close(distances.grad, torch.full((2, 2), 1.0))


def test_a_frame_of_zeros_is_at_distance_one_and_has_a_finite_gradient():
    support = torch.randn(1, 1, 2, 4)
    query = torch.zeros(1, 1, 2, 4, requires_grad=True)
    task = Task(1, support, query, torch.zeros(1, 1, dtype=torch.int64))
    logits = build("bimhm", 4)(task).logits
    assert logits.item() == -4
    logits.sum().backward()
    assert query.grad is not None
    assert query.grad.isfinite().all()
