"""TEAM against published numbers, and against plain loops."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.matchers.arithmetic import class_means
from tasd.matchers.base import prepared
from tasd.matchers.team import (
    TEAM,
    Tokens,
    negative_distances,
    token_distances,
)
from tasd.types import Task
from tests.matchers.golden import Golden

NAMES = {
    "DPM.AP": "patterns",
    "DPM.ln": "norm",
    "DPM.mlp.inp_fc": "mlp.0",
    "DPM.mlp.out_fc": "mlp.2",
}


def published(golden: Golden) -> TEAM:
    weights = golden.weights(NAMES)
    weights["patterns"] = weights["patterns"][0]
    matcher = TEAM(32, patterns=len(weights["patterns"]))
    matcher.load_state_dict(weights)
    return matcher.to(golden.dtype).eval()


def others(table: Tensor) -> Tensor:
    """Drop the diagonal of (way, way, patterns): (way, other classes ascending, patterns)."""
    way = len(table)
    kept = ~torch.eye(way, dtype=torch.bool)
    return table[kept].reshape(way, way - 1, -1)


def of_episode(matcher: TEAM, task: Task, labels: Tensor, which: str) -> dict[str, Tensor]:
    """Compute all that the golden file holds of an episode."""
    classes = class_means(task.support, task.support_labels, way=5)
    attended = matcher.attend(classes)
    plain, similar = matcher.tokens(attended), matcher.similarities(attended)
    adapted = matcher.discriminative(attended, similar)
    alike = matcher.discriminative(attended, torch.ones_like(similar))
    query = matcher.tokens(matcher.attend(task.query[0])[None])
    distances = matcher.distances(prepared(matcher, task))
    ours = {
        "logits_team": matcher(task).logits[0],
        "logits_pos_team": -distances.positive[0],
        "logits_neg_team": -distances.negative[0],
        "loss_L_pos": functional.cross_entropy(-distances.positive[0], labels),
        "loss_L_neg": functional.cross_entropy(-distances.negative[0], labels),
        "support_pos_tokens": plain.positive[0],
        "support_neg_tokens": plain.negative[0],
        "support_disc_pos_tokens": adapted.positive[0],
        "support_disc_neg_tokens": adapted.negative[0],
        "support_sim_pos": others(similar[0, 0]),
        "support_sim_neg": others(similar[1, 0]),
        "support_attention": matcher.attention(matcher.keys(classes))[0],
    }
    # The code's variants, from the same parts.
    for name, tokens, both in (("", plain, "posneg"), ("_nosim", alike, "nosim")):
        positive = -token_distances(query.positive, tokens.positive)[0]
        negative = -negative_distances(query, tokens)[0]
        ours |= {
            f"logits_pos{name}": positive,
            f"logits_neg{name}": negative,
            f"logits_{both}": positive + negative,
        }
    return {f"{name}_{which}": value for name, value in ours.items()}


def test_every_golden_array_of_team_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "team", dtype)
    matcher, labels = published(golden), golden["query_labels"]
    query = golden.task("k1").query[0]
    tokens = matcher.tokens(matcher.attend(query)[None])
    ours = {
        "query_pos_tokens": tokens.positive[0],
        "query_neg_tokens": tokens.negative[0],
        "query_attention": matcher.attention(matcher.keys(query)),
    }
    for which in ("k1", "kn"):
        ours |= of_episode(matcher, golden.task(which), labels, which)
    (ours["loss_L_pos_k1"] + ours["loss_L_neg_k1"]).backward()
    assert matcher.patterns.grad is not None
    ours["grad_tokens_k1"] = matcher.patterns.grad
    golden.assert_all_match(ours)


def test_training_learns_the_two_distances_apart(shared: Path):
    golden = Golden(shared, "team", torch.float64)
    matcher = published(golden).train()
    matcher.positions.dropout.p = 0.0
    labels = golden["query_labels"]
    scores = matcher(replace(golden.task("kn"), query_labels=labels[None]))
    torch.testing.assert_close(scores.logits[0], golden["logits_pos_team_kn"])
    torch.testing.assert_close(scores.losses["negative"], golden["loss_L_neg_kn"])
    learned = functional.cross_entropy(scores.logits[0], labels)
    torch.testing.assert_close(learned, golden["loss_L_pos_kn"])


def tokens(videos: int, seed: int) -> Tokens:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(2, 1, videos, 3, 4, generator=generator, dtype=torch.float64)
    return Tokens(*drawn)


def far(one: Tensor, other: Tensor) -> float:
    """Add 1 - cosine over the tokens of two videos."""
    lengths = one.norm(dim=1) * other.norm(dim=1) + 1e-12
    return float((1 - (one * other).sum(dim=1) / lengths).sum())


def assert_equals_loops(choose: Callable = max) -> None:
    query, classes = tokens(4, seed=1), tokens(3, seed=2)
    found = negative_distances(query, classes)[0]
    for q in range(4):
        for c in range(3):
            rest = [k for k in range(3) if k != c]
            lacking = choose(far(classes.positive[0, k], query.negative[0, q]) for k in rest)
            having = choose(far(classes.negative[0, k], query.positive[0, q]) for k in rest)
            assert found[q, c].item() == pytest.approx((lacking + having) / 2)


def test_the_negative_distance_is_that_of_plain_loops():
    assert_equals_loops()


def test_loops_with_the_nearest_other_class_are_told_apart():
    with pytest.raises(AssertionError):
        assert_equals_loops(min)


def test_a_single_class_is_compared_by_its_own_tokens(shared: Path):
    golden = Golden(shared, "team", torch.float64)
    matcher, given = published(golden), golden.task("k1")
    one = Task(1, given.support[:, :1], given.query, torch.zeros(1, 1, dtype=torch.int64))
    label = int(given.support_labels[0, 0])
    torch.testing.assert_close(matcher(one).logits[0, :, 0], golden["logits_pos_k1"][:, label])
