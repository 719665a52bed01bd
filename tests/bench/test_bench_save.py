"""The benchmark of a save: its numbers add up, and it leaves nothing behind."""

import json

import pytest
import torch
from typer.testing import CliRunner

from tasd.bench.save import ALONE, BESIDE, COPIED, IN_PLACE, Spent, save_times
from tasd.bench.step import Bench
from tasd.cli.app import app
from tests.runs import quiet


def test_stops_are_medians_and_shares_those_of_the_same_round():
    spent = {
        IN_PLACE: [Spent(1.0), Spent(2.0), Spent(4.0)],
        COPIED: [Spent(0.1), Spent(0.2), Spent(0.3)],
        BESIDE: [Spent(0.01, 3.0), Spent(0.04, 3.0), Spent(0.06, 8.0)],
        ALONE: [Spent(passes=2.0), Spent(passes=3.0), Spent(passes=4.0)],
    }
    times = save_times(spent, Bench(rounds=3), bytes=1 << 20, device=torch.device("cpu"))
    assert times.stops == {IN_PLACE: 2.0, COPIED: 0.2, BESIDE: 0.04}
    assert times.share == pytest.approx(0.015)  # of 0.01, 0.02, 0.015
    assert times.passes == 3.0
    assert times.slowed == 1.5  # of 1.5, 1, 2


def test_the_command_measures_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "home"))
    words = ["bench", "save", "--backbone", "resnet8", "--size", "32", "--device", "cpu"]
    with quiet():
        said = CliRunner().invoke(app, [*words, "--rounds", "1", "--json"])
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert found["bytes"] > 1 << 20
    assert 0 < found["stops"][BESIDE] < found["stops"][IN_PLACE]
    assert found["share"] < 1
    assert not list((tmp_path / "home").iterdir())
