"""The settings of the demo, and the table of its results."""

from pathlib import Path

import pytest
from rich.console import Console

from tasd.demo.folder import FULL, QUICK
from tasd.demo.generate import split_classes
from tasd.demo.outcome import Outcome, table
from tasd.demo.run import _config as config_of
from tasd.evaluation.metrics import Interval


@pytest.mark.parametrize("scale", [FULL, QUICK])
def test_there_are_enough_classes_and_videos_for_an_episode(scale) -> None:
    episode = config_of(scale, seed=0).episode
    assert min(map(len, split_classes().values())) >= episode.way
    assert scale.per_class >= episode.shot + episode.queries


def test_the_seed_of_the_demo_is_the_seed_of_training() -> None:
    assert config_of(QUICK, seed=5).training.seed == 5


def test_the_table_tells_each_network_with_its_interval_and_marks_the_best(tmp_path: Path) -> None:
    found = {"untrained": Interval(0.21, 0.2, 0.22), "teacher": Interval(0.7, 0.69, 0.71)}
    console = Console(width=100, record=True, quiet=False, file=(tmp_path / "table.txt").open("w"))
    console.print(table(Outcome(found, "teacher", ("sheet.png",)), quick=True))
    text = console.export_text()
    console.file.close()
    assert "teacher *" in text
    assert "untrained *" not in text
    assert "69.0% - 71.0%" in text
    assert "chance: 20 %" in text
    assert "quick" in text
