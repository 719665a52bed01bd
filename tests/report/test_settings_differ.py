"""Settings, hours and machines of runs."""

import json

import pytest

from tasd.report.differences import MISSING, differences, differences_table
from tasd.report.hardware import hardware_table, spent
from tasd.report.outcome import read_outcome
from tests.report.written import config_of, write_run


def made(tmp_path, **configs):
    runs = {name: write_run(tmp_path / name, config=c, tested=False) for name, c in configs.items()}
    return [read_outcome(path) for path in runs.values()]


def test_a_setting_that_any_run_has_otherwise_is_listed_with_all_values(tmp_path):
    outcomes = made(
        tmp_path,
        a=config_of(),
        b=config_of(training__seed=7),
        c=config_of(optimiser__lr=0.25),
    )
    found = {one.setting: one.values for one in differences(outcomes)}
    assert found.keys() == {"training.seed", "optimiser.lr"}
    assert found["training.seed"] == ("0", "7", "0")
    assert found["optimiser.lr"][2] == "0.25"
    text = differences_table(outcomes)
    assert "training.seed" in text
    assert "<th scope=col>c</th>" in text


def test_a_setting_that_one_run_does_not_have_is_told(tmp_path):
    outcomes = made(
        tmp_path, a=config_of(), b=config_of(matcher__name="otam", matcher__options={"x<y": 1})
    )
    found = {one.setting: one.values for one in differences(outcomes)}
    assert found["matcher.options.x<y"] == (MISSING, "1")
    assert "x&lt;y" in differences_table(outcomes)


def test_equal_settings_are_a_sentence(tmp_path):
    assert "the same settings" in differences_table(made(tmp_path, a=config_of(), b=config_of()))


def log(path, seconds):
    terms = {"metric": {"raw": 1.0, "weighted": 1.0}}
    lines = [
        {"kind": "train", "episode": n, "loss": 1.0, "accuracy": 0.5, "terms": terms}
        | ({} if value is None else {"seconds": value})
        for n, value in enumerate(seconds, 1)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_hours_are_the_seconds_of_all_steps(tmp_path):
    (outcome,) = made(tmp_path, a=config_of())
    log(outcome.run.path, [3600.0, 3600.5, 1200.0])
    assert spent(outcome).seconds == 8400.5
    assert spent(outcome).episodes == 3
    assert "2 h 20 min" in hardware_table([outcome])


@pytest.mark.parametrize(
    "seconds", [[1.0, None], [], [float("nan"), 1.0], ["9", 1.0], [float("inf")]]
)
def test_hours_that_the_log_does_not_tell_are_unknown(tmp_path, seconds):
    (outcome,) = made(tmp_path, a=config_of())
    log(outcome.run.path, seconds)
    assert spent(outcome).seconds is None


def test_the_machine_is_that_of_the_environment_file(tmp_path):
    (outcome,) = made(tmp_path, a=config_of())
    said = {"gpus": ["H100", "H100", "A<1>"], "cpus": 16, "packages": {"torch": "2.9.1"}}
    (outcome.run.path / "environment.json").write_text(json.dumps(said))
    text = hardware_table([outcome])
    for part in ("2 x H100, 1 x A&lt;1&gt;", ">16</td>", "2.9.1"):
        assert part in text
    (outcome.run.path / "environment.json").write_text(json.dumps(said | {"gpus": []}))
    assert ">CPU</td>" in hardware_table([outcome])


@pytest.mark.parametrize("text", ["", "[]", "{", '{"gpus": 3, "packages": 3, "commit": 3}'])
def test_a_damaged_environment_costs_its_own_cells(tmp_path, text):
    (outcome,) = made(tmp_path, a=config_of())
    (outcome.run.path / "environment.json").write_text(text)
    assert "unknown" in hardware_table([outcome])
