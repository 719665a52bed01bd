"""Outcomes of runs, and the runs that share one cell of a table."""

import pytest

from tasd.errors import UserError
from tasd.evaluation.results import write_document
from tasd.report.outcome import cell, read_outcome
from tests.report.written import config_of, write_run


@pytest.mark.parametrize(
    ("recipe", "settings", "method"),
    [
        ("tasd", {}, "TASD"),
        ("baseline", {}, "Baseline"),
        ("paper", {}, "TASD, letter of the paper"),
        ("tasd", {"distill__pr": 0, "distill__at": 0, "distill__am": 0}, "Baseline + SD"),
        ("tasd", {"distill__at": 0, "distill__am": 0}, "Baseline + SD + PR"),
        ("tasd", {"distill__ce": 0, "distill__pr": 0}, "Baseline + am + at"),
        ("baseline", {"matcher__name": "otam"}, "OTAM"),
        ("tasd", {"matcher__name": "otam"}, "OTAM + distillation"),
        ("arn", {}, "ARN"),
        ("arn", {"network__backbone": "resnet50"}, "ARN head on resnet50 (new result)"),
        ("tasd", {"matcher__name": "arn"}, "ARN head on resnet50 (new result) + distillation"),
        ("itanet", {}, "ITANet (our reading)"),
    ],
)
def test_a_method_is_named_by_what_was_trained(tmp_path, recipe, settings, method):
    path = write_run(tmp_path / "run", config=config_of(recipe, **settings), tested=False)
    assert read_outcome(path).method == method


def test_the_newest_result_counts_and_comparisons_do_not(tmp_path):
    import json
    import os

    path = write_run(tmp_path / "run")
    first = next((path / "evaluation").iterdir())
    newer = first.with_name("test-5w1s-1q-10000e-seed0.json")
    content = json.loads(first.read_text())
    content["networks"]["teacher"]["accuracy"] = 0.5
    write_document(newer, content)
    first.with_name("test-5w1s-against-other.json").write_text("{}")
    os.utime(first, (1, 1))
    assert read_outcome(path).chosen["accuracy"] == 0.5


def test_one_run_has_the_interval_of_its_episodes(tmp_path):
    outcome = read_outcome(write_run(tmp_path / "run"))
    low, high = outcome.chosen["interval95"]["sampling of episodes only"]
    made = cell([outcome])
    assert made.seeds == 1
    assert (made.interval.low, made.interval.high) == (low, high)
    assert made.text == f"{100 * outcome.chosen['accuracy']:.1f} ±{50 * (high - low):.1f}"


def test_runs_that_differ_in_the_seed_alone_share_a_number(tmp_path):
    outcomes = [
        read_outcome(
            write_run(tmp_path / str(s), config=config_of(training__seed=s), skill=1 + s / 5)
        )
        for s in range(3)
    ]
    made = cell(outcomes)
    assert made.seeds == 3
    assert "(3 seeds)" in made.text
    accuracies = [outcome.chosen["accuracy"] for outcome in outcomes]
    assert made.interval.mean == pytest.approx(sum(accuracies) / 3)
    assert made.interval.half > (max(accuracies) - min(accuracies)) / 2  # t of 2 degrees is wide


def test_runs_that_differ_in_more_do_not_share_one(tmp_path):
    one = read_outcome(write_run(tmp_path / "a", skill=0.5))
    other = read_outcome(write_run(tmp_path / "b", config=config_of(distill__ce=0.5), skill=1.5))
    assert cell([one, other]).interval.mean == pytest.approx(other.chosen["accuracy"])
    assert cell([]) is None
    assert cell([read_outcome(write_run(tmp_path / "c", tested=False))]) is None


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a run"):
        read_outcome(tmp_path)


def test_a_damaged_result_is_told(tmp_path):
    path = write_run(tmp_path / "run")
    next((path / "evaluation").iterdir()).write_text("{")
    with pytest.raises(UserError, match=r"cannot be read .* run tasd evaluate again"):
        read_outcome(path)
