"""Confusions are the counts of the result, and say so where they cannot be read."""

import numpy as np
import pytest

from tasd.errors import UserError
from tasd.report.confusion_chart import confusion_chart
from tasd.report.confusions import most_frequent, read_confusions

NAMES = ["a", "b", "<c>"]
COUNTS = [[8, 2, 0], [5, 5, 0], [1, 0, 9]]
OFFERED = [[10, 10, 0], [10, 10, 6], [4, 5, 10]]


def network(**other):
    return {"confusion": {"classes": NAMES, "counts": COUNTS, "offered": OFFERED} | other}


def test_shares_are_of_the_queries_that_offered_the_answer():
    shares = read_confusions(network()).shares
    assert shares[0, 1] == 0.2
    assert shares[2, 0] == 0.25
    assert np.isnan(shares[0, 2])


def test_the_most_frequent_confusion_comes_first_and_right_answers_are_none():
    found = most_frequent(read_confusions(network()))
    assert [(one.true, one.predicted, one.count, one.offered) for one in found] == [
        ("b", "a", 5, 10),
        ("<c>", "a", 1, 4),
        ("a", "b", 2, 10),
    ]


def test_the_hardest_classes_are_kept_in_their_order():
    found = read_confusions(network(), most=2)
    assert found.classes == ("a", "b")
    assert found.left_out == 1
    assert found.counts.tolist() == [[8, 2], [5, 5]]
    assert "The 2 hardest of 3 classes." in confusion_chart(found, name="run")


@pytest.mark.parametrize(
    "damage",
    [
        {"counts": [[1, 2]]},
        {"counts": None},
        {"counts": [["x"] * 3] * 3},
        {"counts": [[1] * 3, [2]]},
        {"counts": [[10**30] * 3] * 3},
        {"offered": [[0] * 3] * 3},
        {"classes": 3},
    ],
    ids=str,
)
def test_counts_that_cannot_be_read_are_told(damage):
    with pytest.raises(UserError, match="no counts of confusions; run tasd evaluate again"):
        read_confusions(network(**damage))


def test_the_chart_shows_each_share_and_escapes_names():
    text = confusion_chart(read_confusions(network()), name="run'<")
    assert "&lt;c&gt;, answered a: 1 of 4" in text
    assert "<c>" not in text
    assert "run&#x27;&lt;" in text
    assert text.count("<g class=cell>") == 6  # the others never happened
    assert ">25</text>" in text
