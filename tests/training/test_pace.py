"""When the distillation begins, and a teacher's temperature that moves."""

import pytest

from tasd.errors import UserError
from tasd.recipes.settings import replace
from tasd.runs.checkpoint import Progress
from tasd.training.plan import TrainingPlan
from tasd.training.schedule import Pace, pace
from tests.runs import lines, small_config, small_run

FROM_HALF = ("distill.start", 0.5)
WARMER = ("distill.teacher_temperature_start", 0.01)


def options(*settings):
    return small_config(*settings).distill


def test_by_default_it_is_the_same_in_every_step():
    assert {pace(step, steps=10, options=options()) for step in range(10)} == {Pace(1.0, None)}


def test_it_begins_after_a_part_of_the_run():
    shares = [pace(step, steps=8, options=options(FROM_HALF)).share for step in range(8)]
    assert shares == [0, 0, 0, 0, 1, 1, 1, 1]


def test_the_temperature_moves_in_the_first_three_tenths_of_the_run():
    found = [pace(step, steps=10, options=options(WARMER)).temperature for step in range(6)]
    assert found == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.04, 0.04])


def test_terms_weigh_nothing_before_their_start_and_are_logged(small_store, tmp_path):
    run = small_run(small_store, tmp_path / "run", small_config(FROM_HALF, episodes=4)).run
    for line in lines(run, "train"):
        for name, term in line["terms"].items():
            weighs = name in ("metric", "auxiliary") or line["episode"] > 2
            assert (term["weighted"] > 0) == weighs, (line["episode"], name)
            assert term["raw"] > 0
        assert line["loss"] == pytest.approx(sum(t["weighted"] for t in line["terms"].values()))


def test_the_distillation_moves_no_weight_before_its_start(small_store, tmp_path):
    runs = [
        small_run(small_store, tmp_path / name, small_config(*settings, episodes=4)).run
        for name, settings in (("late", [FROM_HALF]), ("whole", []))
    ]
    one, other = (lines(run, "train") for run in runs)
    assert one[0]["terms"]["metric"]["raw"] == other[0]["terms"]["metric"]["raw"]
    assert one[1]["terms"]["metric"]["raw"] != other[1]["terms"]["metric"]["raw"]


@pytest.mark.parametrize("setting", [FROM_HALF, WARMER])
def test_both_are_errors_where_they_have_no_effect(setting):
    with pytest.raises(UserError, match="has no effect"):
        replace(small_config(recipe="baseline"), [setting])


def test_the_plan_of_a_run_counts_its_steps(small_store):
    config = small_config(FROM_HALF, episodes=4)
    plan = TrainingPlan(
        config.training, config.optimiser, config.distill, per_step=1, own=1, steps=4
    )
    assert [plan.pace(Progress(step=step)).share for step in range(4)] == [0, 0, 1, 1]
