"""Tables of finished runs: gains are paired, and the best is chosen on validation."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasd.config import Config
from tasd.errors import UserError
from tasd.recipes.settings import replace
from tasd.report.outcome import read_outcome
from tasd.reproduce.rows import Row, RowRequest, rows_of
from tasd.reproduce.runs import PlannedRun
from tasd.reproduce.study import _check_episodes
from tasd.reproduce.tables import FinishedRun, gain, tables_of
from tasd.runs.folder import Run
from tests.report.written import write_run

UNTRAINED = {"accuracy": 0.23, "half": 0.02}


def finished(
    folder: Path, row: Row, *, skill: float = 1.2, seed: int = 0, **made: Any
) -> FinishedRun:
    """Write a run as training and evaluation do, with a validation before the first step."""
    config: Config = replace(row.config, [("training.seed", seed)])
    path = folder / f"{row.name}-seed{seed}"
    networks = ("student", "teacher") if config.distill.weights else ("student",)
    write_run(path, config=config, skill=skill, networks=networks)
    log = path / "metrics.jsonl"
    first = {"kind": "validation", "episode": 0} | dict.fromkeys(networks, UNTRAINED)
    log.write_text(json.dumps(first) + "\n" + log.read_text())
    result = read_outcome(path).result
    assert result is not None
    return FinishedRun(PlannedRun(row, seed, config, Run(path)), result, made.get("curve", {}))


@pytest.fixture
def pair(tmp_path) -> list[FinishedRun]:
    rows = rows_of("table1", RowRequest("ucf101", only=("otam", "otam+distillation")))
    return [
        finished(tmp_path, row, skill=skill) for row, skill in zip(rows, (0.8, 1.4), strict=True)
    ]


def test_table_1_shows_each_matcher_without_and_with_the_distillation(pair):
    table, runs = tables_of("table1", pair)
    without, distilled = table.rows
    assert without[:3] == ("OTAM", "", "23.0")
    assert distilled[:3] == ("OTAM", "yes", "23.0")
    assert without[6:] == ("72.2", "79.9", "54.5")
    assert distilled[6:] == ("-", "-", "-")
    assert float(without[3]) > 23
    assert [row[0] for row in runs.rows] == ["otam-seed0", "otam+distillation-seed0"]


def test_runs_of_different_test_episodes_are_not_set_beside_each_other(pair):
    _check_episodes(pair)
    pair[1].result["episodes"]["sha256"] = "0" * 64
    with pytest.raises(
        UserError, match=r"otam-seed0, otam\+distillation-seed0 were tested on diff"
    ):
        _check_episodes(pair)


def test_arn_is_named_by_its_network_and_has_both_its_figures(tmp_path, pair):
    own = rows_of("table1", RowRequest("ucf101", only=("arn",)))
    head = rows_of("table1", RowRequest("ucf101", recipe="tasd", only=("arn", "itanet")))
    table = tables_of("table1", [finished(tmp_path / "own", row) for row in own])[0]
    assert table.rows[0][0] == "ARN"
    assert table.rows[0][6:] == ("63.7", "66.3 (62.1)", "45.5 (44.6)")
    assert "random splits of the classes in halves" in table.caption
    table = tables_of("table1", [finished(tmp_path / "head", row) for row in head])[0]
    names = [row[0] for row in table.rows]
    assert names == ["ARN head on resnet50 (new result)", "ITANet (our reading)"]
    assert table.rows[1][6:] == ("73.6", "-", "-")
    assert "random splits" not in tables_of("table1", pair)[0].caption


def test_the_gain_is_that_of_the_same_episodes(pair):
    found = gain(pair[:1], pair[1:])
    assert found is not None
    expected = pair[1].accuracies - pair[0].accuracies
    assert found.mean == pytest.approx(expected.mean())
    assert found.mean > 0.05
    shown = tables_of("table1", pair)[0].rows
    assert shown[0][5] == ""
    assert shown[1][5].startswith(f"{100 * found.mean:+.1f} ±")


def test_the_gain_over_seeds_pairs_the_seeds(tmp_path):
    rows = rows_of("table1", RowRequest("folder", only=("trx", "trx+distillation")))
    skills = {("trx", 0): 0.5, ("trx", 1): 1.0}
    skills |= {("trx+distillation", 0): 0.9, ("trx+distillation", 1): 1.4}
    runs = [
        finished(tmp_path, row, seed=seed, skill=skills[row.name, seed])
        for row in rows
        for seed in (0, 1)
    ]
    found = gain(runs[:2], runs[2:])
    assert found is not None
    each = [(b.accuracies - a.accuracies).mean() for a, b in zip(runs[:2], runs[2:], strict=True)]
    assert found.mean == pytest.approx(sum(each) / 2)
    assert gain(runs[:1], runs[3:]) is None  # no seed in common
    assert "(2 seeds)" in tables_of("table1", runs)[0].rows[0][4]


def test_bimhm_with_the_distillation_stands_beside_the_papers_own_number(tmp_path):
    rows = rows_of("table1", RowRequest("kinetics", only=("bimhm", "bimhm+distillation")))
    table = tables_of("table1", [finished(tmp_path, row) for row in rows])[0]
    assert table.rows[0][6:] == ("72.3", "81.7", "58.3")
    assert table.rows[1][6:] == ("76.5", "88.2", "61.1")


def test_the_untrained_network_is_never_the_best(pair):
    accuracy, episode, network = pair[0].best
    checks = dict(pair[0].validation)
    assert episode > 0
    assert accuracy == checks[episode][network]
    assert accuracy == max(max(networks.values()) for at, networks in checks.items() if at)


def test_table_3_has_the_curves_and_marks_what_was_chosen_on_the_test_classes(tmp_path):
    rows = rows_of("table3", RowRequest("kinetics"))
    runs = [finished(tmp_path, row, curve={600: 0.5, 1200: 0.45}) for row in rows]
    paper, table, curves = tables_of("table3", runs)
    assert [row[2] for row in paper.rows] == ["75.68", "75.67", "76.04"]
    assert "not a result" in table.header[-1]
    assert {row[-1] for row in table.rows} == {"50.0 (episode 600)"}
    assert curves.header == ("episode", "SS-seed0", "QS-seed0", "CS-seed0")
    assert curves.rows[0][0] == "0"
    assert curves.rows[0][1] == "23.0"
    marks = [row[1] for row in curves.rows if row[1].endswith("*")]
    assert len(marks) == 1


def test_without_kept_checkpoints_there_is_no_column_of_them(pair):
    table = tables_of("table1", pair)[1]
    assert table.header[-1] == "floor"
    assert all(len(row) == len(table.header) for row in table.rows)
