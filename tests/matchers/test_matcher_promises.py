"""Further promises of every matcher: queries, ways, precision, weights and what training gives."""

import hashlib
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tasd.matchers import MATCHERS, Matcher, build
from tasd.matchers.base import prepared
from tasd.types import Task
from tests.matchers import test_matcher_contract as contract
from tests.matchers.test_matcher_contract import logits, mapped, same, select, task

# As in every test of the contract: each matcher of the table, in each of its forms.
matcher = contract.matcher

# sha256 of the names and shapes of all weights; a change makes older checkpoints unreadable.
WEIGHTS = {
    "trx": "b1339f20af059a72",
    "ta2n": "f18e7df3da1d4387",
    "strm": "7e02a31776e610f1",
    "hyrsm": "629ebe0c90b3932a",
    "molo": "13f24f925f050988",
    "team": "2f7282ecfe1393ad",
    "mpl": "0b8f37e9139063fa",
    "tsdcm": "9159f1bb2048dc5b",
}


@pytest.mark.parametrize("way", [2, 3, 4, 5, 6, 7])
def test_any_number_of_classes_with_unequal_shots_is_scored(matcher: Matcher, way: int):
    shots = tuple(1 + number % 3 for number in range(way))
    scores = logits(matcher, task(shots=shots, episodes=1, queries=2))
    assert scores.shape == (1, 2, way)
    assert scores.isfinite().all()


def test_the_order_of_the_queries_does_not_matter(matcher: Matcher):
    given = task()
    turned = logits(matcher, select(given, "query", [3, 1, 0, 2]))
    assert same(turned, logits(matcher, given)[:, [3, 1, 0, 2]])


def test_a_query_may_be_asked_twice(matcher: Matcher):
    scores = logits(matcher, select(task(), "query", [1, 2, 1]))
    assert same(scores[:, 0], scores[:, 2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_scored_in_float32(matcher: Matcher, dtype: torch.dtype):
    halves = mapped(task(), lambda features: features.to(dtype))
    scores = logits(matcher.float(), halves)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, logits(matcher, mapped(halves, Tensor.float)))


def test_scoring_leaves_features_and_weights_as_they_were(matcher: Matcher):
    given = task()
    before = mapped(given, Tensor.clone)
    weights = {name: value.clone() for name, value in matcher.state_dict().items()}
    first = logits(matcher, given)
    assert torch.equal(first, logits(matcher, given))
    assert torch.equal(given.query, before.query)
    assert torch.equal(given.support, before.support)
    after = matcher.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[name], value) for name, value in weights.items())


def test_queries_prepared_alone_are_those_prepared_together(matcher: Matcher):
    given = task(episodes=1)
    with torch.no_grad():
        together = prepared(matcher, given)
        alone = prepared(matcher, select(given, "query", [2]))
    assert same(alone.query[:, 0], together.query[:, 2])


def fresh(name: str) -> Matcher:
    """A matcher as it is before training, at the smallest of its forms."""
    options = next(options for other, options in contract.FORMS if other == name)
    torch.manual_seed(0)
    built = build(name, contract.CHANNELS, frames=contract.FRAMES, **options)
    return built.double().eval()


def repeated(given: Task) -> Task:
    """Ask for the supports themselves, whose features are positive as after a ReLU."""
    positive = mapped(given, Tensor.abs)
    queries = {
        name: getattr(positive, name.replace("query", "support"))
        for name in vars(positive)
        if name.startswith("query")
    }
    return replace(positive, **queries)


# HCL compares means of unit vectors, which are not of length one again: a video whose patches are
# alike can be nearer to another than that one to itself, and at first its positions outweigh all.
# ARN's score is a learned network of both videos, which at first knows nothing of likeness.
NOT_MOST_LIKE_ITSELF = {"hcl", "arn"}


@pytest.mark.parametrize("name", sorted(MATCHERS.keys() - NOT_MOST_LIKE_ITSELF))
def test_before_training_a_video_is_most_like_itself(name: str):
    given = repeated(task(shots=(1,) * 5, episodes=20))
    found = logits(fresh(name), given).argmax(dim=2)
    assert (found == given.support_labels).double().mean() > 0.5  # by chance 0.2


@pytest.mark.parametrize("name", MATCHERS)
def test_the_names_of_the_weights_depend_on_nothing_but_the_options(name: str):
    options = next(options for other, options in contract.FORMS if other == name)

    def shapes(seed: int, classes: int | None) -> dict[str, tuple[int, ...]]:
        torch.manual_seed(seed)
        sizes = {"classes": classes, "frames": contract.FRAMES}
        built = build(name, contract.CHANNELS, **sizes, **options)
        return {name: tuple(value.shape) for name, value in built.state_dict().items()}

    assert shapes(0, 9) == shapes(1, 9)
    bare, headed = shapes(0, None), shapes(0, 9)
    assert bare.items() <= headed.items()


def digest(name: str) -> str:
    built = build(name, 16, classes=9, frames=4)
    lines = [f"{key} {tuple(value.shape)}" for key, value in built.state_dict().items()]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_names_of_the_weights_are_those_of_older_checkpoints(name: str):
    assert digest(name) == WEIGHTS[name]
