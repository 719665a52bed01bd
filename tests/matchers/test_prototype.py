from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tasd.errors import UserError
from tasd.matchers import build
from tasd.types import Task
from tests.matchers.golden import Golden


def test_every_golden_array_of_mean_pooling_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "meanpool", dtype)
    cosine = build("prototype", 32, rule="mean")
    squared = build("prototype", 32, metric="squared_l2")
    ours = {}
    for which in ("k1", "kn"):
        task = golden.task(which)
        ours[f"logits_cos_{which}"] = cosine(task).logits[0]
        ours[f"logits_l2sq_{which}"] = squared(task).logits[0]
    golden.assert_all_match(ours)


def unequal(seed: int = 3) -> Task:
    """An episode of 2, 1 and 3 shots whose videos have lengths from 1 to 20."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([[0, 0, 1, 2, 2, 2]])
    lengths = torch.linspace(1, 20, 6, dtype=torch.float64)[None, :, None, None]
    support = lengths * torch.randn(1, 6, 4, 8, generator=generator, dtype=torch.float64)
    query = torch.randn(1, 5, 4, 8, generator=generator, dtype=torch.float64)
    return Task(3, support, query, labels)


def test_the_prototype_is_the_mean_of_the_shots_directions():
    task = unequal()
    scores = build("prototype", 8, eps=0.0)(task).logits[0]
    directions = functional.normalize(task.support[0].mean(dim=1), dim=1)
    for name, column in enumerate(scores.T):
        prototype = directions[task.support_labels[0] == name].mean(dim=0)
        cosines = functional.cosine_similarity(task.query[0].mean(dim=1), prototype[None], dim=1)
        torch.testing.assert_close(column, cosines)


def test_the_length_of_a_shot_gives_it_no_more_weight():
    task = unequal()
    longer = task.support.clone()
    longer[0, 3] *= 7
    matcher = build("prototype", 8, eps=0.0)
    stretched = Task(task.way, longer, task.query, task.support_labels)
    torch.testing.assert_close(matcher(stretched).logits, matcher(task).logits)


def test_the_rules_are_equal_for_one_shot_and_differ_for_several():
    task = unequal()
    prototype, mean = (
        build("prototype", 8, rule=rule)(task).logits[0] for rule in ("prototype", "mean")
    )
    torch.testing.assert_close(prototype[:, 1], mean[:, 1])
    assert not torch.isclose(prototype[:, [0, 2]], mean[:, [0, 2]]).any()


def test_the_mean_of_cosines_to_squared_distances_is_refused():
    with pytest.raises(UserError, match=r"'rule' of matcher 'prototype' is 'mean'.*'squared_l2'"):
        build("prototype", 8, metric="squared_l2", rule="mean")


@pytest.mark.parametrize("options", [{}, {"rule": "mean"}, {"metric": "squared_l2"}], ids=str)
def test_temperature_divides_the_scores(options: dict):
    task = unequal()
    plain = build("prototype", 8, **options)(task).logits
    sharper = build("prototype", 8, temperature=0.1, **options)(task).logits
    torch.testing.assert_close(sharper, 10 * plain)
