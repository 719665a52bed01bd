"""A result joins the tracked run that it is of: numbers, tables, figures."""

import json

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tasd.report.outcome import read_outcome
from tasd.report.tracked import add_result, class_table, confusion_figure, pixels, result_table
from tasd.runs.tracking import FILE, Tracking
from tests.cli.test_predict import run_tasd
from tests.predict.conftest import home, trained_once
from tests.report.written import write_run

__all__ = ["home", "trained_once"]
NETWORKS = {
    "student": {
        "accuracy": 0.5,
        "interval95": {"sampling of episodes only": [0.4, 0.6], "other classes": None},
        "per_class": {"run": 0.25, "jump": 0.75},
    },
    "plain backbone": {
        "accuracy": 0.4,
        "interval95": {"sampling of episodes only": [0.3, 0.5]},
        "per_class": {"jump": 0.5},
    },
}


def test_tables_hold_the_numbers_of_the_result():
    table = result_table(NETWORKS)
    assert table.columns[:4] == (
        "network",
        "accuracy",
        "low, sampling of episodes only",
        "high, sampling of episodes only",
    )
    assert table.rows == (
        ("student", 0.5, 0.4, 0.6, None, None),
        ("plain backbone", 0.4, 0.3, 0.5, None, None),
    )
    assert class_table(NETWORKS).rows == (("jump", 0.75, 0.5), ("run", 0.25, None))


def test_the_confusion_shows_shares_of_what_was_offered(tmp_path):
    outcome = read_outcome(write_run(tmp_path / "run"))
    figure = confusion_figure(outcome)
    shown = figure.axes[0].images[0].get_array()
    counts, offered = (np.array(outcome.chosen["confusion"][k]) for k in ("counts", "offered"))
    assert shown.shape == counts.shape
    np.testing.assert_allclose(shown.diagonal(), 100 * counts.diagonal() / offered.diagonal())
    picture = pixels(figure)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert picture.std() > 0


def test_an_evaluation_joins_its_tracked_run_and_changes_no_result(home):
    run = home / "runs" / "tiny"
    said = run_tasd("evaluate", "--run", run, "--episodes", 20, "--no-floor", "--json")
    result = json.loads(said.stdout)
    (path,) = (run / "evaluation").glob("*.json")
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    tags = board.Tags()
    name = f"evaluation/{path.stem}"
    for network, found in result["networks"].items():
        (event,) = board.Scalars(f"{name}/{network}")
        assert (event.step, event.value) == (2, pytest.approx(found["accuracy"]))
    assert {f"{name}/accuracy", f"{name}/confusion"} <= set(tags["images"])
    assert {f"{name}/text_summary", f"{name}-classes/text_summary"} <= set(tags["tensors"])


def test_an_untracked_run_stays_untracked(home):
    run = home / "runs" / "tiny"
    Tracking(run, ()).finish("finished")
    before = {path.name for path in (run / "tensorboard").iterdir()}
    run_tasd("evaluate", "--run", run, "--episodes", 20, "--no-floor")
    assert {path.name for path in (run / "tensorboard").iterdir()} == before


def test_a_file_of_trackers_that_is_damaged_costs_one_line_and_no_result(home):
    run = home / "runs" / "tiny"
    (run / FILE).write_text("{")
    said = run_tasd("evaluate", "--run", run, "--episodes", 20, "--no-floor")
    assert said.exit_code == 0
    assert f"{FILE} cannot be read" in said.stderr
    assert list((run / "evaluation").glob("*.json"))


def test_results_with_a_floor_list_it(tmp_path):
    run = write_run(tmp_path / "run")
    outcome = read_outcome(run)
    floor = next(iter(outcome.result["networks"].values()))
    told = {}

    class Spy(Tracking):
        def __init__(self):
            pass

        def table(self, name, table):
            told[name] = table

        def numbers(self, values, *, episode):
            told["numbers"] = values

        def picture(self, name, image, *, episode):
            told[name] = image

    origin = outcome.result["provenance"] | {"checkpoint": {"episode": 7}}
    result = {**outcome.result, "floor": floor, "provenance": origin}
    add_result(Spy(), outcome.run, "test", result)
    assert told["evaluation/test"].rows[-1][0] == "plain backbone"
    assert "evaluation/test/plain backbone" in told["numbers"]
