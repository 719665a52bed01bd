import io
import itertools

import pytest
from rich.console import Console

from prep import progress
from prep.progress import ProgressBar, megabytes


def test_plain_lines_tell_rate_and_rest_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count(0, 10)  # ten seconds pass at every look
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    said = io.StringIO()
    with ProgressBar(Console(file=said, force_terminal=False, width=200)) as watch:
        watch.say("a [bracket] is no markup")
        watch.begin(videos=1200, size=3_000_000_000)
        for _ in range(4):
            watch.told(100, 250_000_000)
    lines = said.getvalue().splitlines()
    assert lines[0] == "a [bracket] is no markup"
    assert lines[1] == "1,200 videos to prepare, 3.0 GB"
    assert lines[-1].startswith("400 of 1,200 videos, 1.0 GB, ")
    assert lines[-1].endswith(" left")
    assert len(lines) < 7


def test_a_terminal_shows_one_live_line() -> None:
    said = io.StringIO()
    with ProgressBar(Console(file=said, force_terminal=True, width=100)) as watch:
        watch.begin(videos=4, size=1_000_000)
        watch.told(2, 500_000)
    assert "2 of 4 videos, 0.5 MB" in said.getvalue()


def test_work_that_was_lost_is_taken_back() -> None:
    said = io.StringIO()
    with ProgressBar(Console(file=said, force_terminal=True, width=100)) as watch:
        watch.begin(videos=4, size=1_000_000)
        watch.told(3, 750_000)
        watch.told(-3, -750_000)
        watch.told(1, 250_000)
    assert "1 of 4 videos, 0.2 MB" in said.getvalue()


def test_sizes_are_said_as_people_do() -> None:
    assert megabytes(8_600_000) == "8.6 MB"
    assert megabytes(4_100_000_000) == "4.1 GB"
