"""Runs are compared on the same episodes alone."""

import json
import math

import pytest

from tasd.evaluation.metrics import sign_test
from tasd.evaluation.results import write_document
from tasd.report.outcome import read_outcome
from tasd.report.paired import comparisons
from tasd.report.paired_chart import p_text, paired_chart
from tests.report.written import write_run


@pytest.fixture
def outcomes(tmp_path):
    skills = {"one": 0.8, "two": 1.2, "three": 0.8}
    return [read_outcome(write_run(tmp_path / name, skill=skill)) for name, skill in skills.items()]


def test_each_run_is_compared_with_the_first(outcomes):
    found = comparisons(outcomes)
    assert [(one.first, one.second) for one in found.made] == [("one", "two"), ("one", "three")]
    first, second = (outcome.chosen["correct"] for outcome in outcomes[:2])
    gains = [(b - a) / 10 for a, b in zip(first, second, strict=True)]
    paired = found.made[0].paired
    assert paired.difference.mean == pytest.approx(sum(gains) / len(gains))
    better, worse = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
    assert (paired.better, paired.worse) == (better, worse)
    assert paired.p_value == sign_test(better, worse)
    assert found.made[1].paired.difference.mean == 0


def test_the_chart_prints_interval_and_p_value(outcomes):
    found = comparisons(outcomes)
    text = paired_chart(found)
    gain = found.made[0].paired.difference
    assert f"{100 * gain.low:+.2f} to {100 * gain.high:+.2f}" in text
    assert p_text(found.made[0].paired.p_value).replace("<", "&lt;") in text
    assert "none is corrected" in text
    assert math.isclose(found.made[1].paired.p_value, 1)


def test_other_episodes_are_told_and_not_compared(outcomes, tmp_path):
    path = outcomes[1].path
    content = json.loads(path.read_text())
    content["episodes"]["sha256"] = "0"
    write_document(path, content)
    found = comparisons([outcomes[0], read_outcome(tmp_path / "two")])
    assert found.made == ()
    assert "two was tested on other episodes than one; tasd evaluate --compare" in found.notes[0]
    assert "two was tested on other episodes" in paired_chart(found)


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (0.0341, "0.034"), (3e-9, "< 0.0001")])
def test_p_values_have_two_digits(value, text):
    assert p_text(value) == text
