import io
import itertools

import pytest
from rich.console import Console

from prep import progress
from prep.progress import ProgressBar, megabytes


def test_plain_lines_tell_rate_and_rest_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count(0.0, 10.0)  # ten seconds pass at every reading
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    output = io.StringIO()
    with ProgressBar(Console(file=output, force_terminal=False, width=200)) as bar:
        bar.say("a [bracket] is no markup")
        bar.begin(1200, 3_000_000_000)
        for _ in range(4):
            bar.advance(100, 250_000_000)
    lines = output.getvalue().splitlines()
    assert lines[0] == "a [bracket] is no markup"
    assert lines[1] == "1,200 videos to prepare, 3.0 GB"
    assert lines[-1].startswith("preparing: 400/1,200 videos  ")
    assert lines[-1].endswith(" left  1.0 GB")
    assert len(lines) < 7


def test_a_terminal_shows_one_live_line() -> None:
    output = io.StringIO()
    with ProgressBar(Console(file=output, force_terminal=True, width=100)) as bar:
        bar.begin(4, 1_000_000)
        bar.advance(2, 500_000)
    assert "2/4 videos" in output.getvalue()
    assert "0.5 MB" in output.getvalue()


def test_work_that_was_lost_is_taken_back() -> None:
    output = io.StringIO()
    with ProgressBar(Console(file=output, force_terminal=True, width=100)) as bar:
        bar.begin(4, 1_000_000)
        bar.advance(3, 750_000)
        bar.advance(-3, -750_000)
        bar.advance(1, 250_000)
    assert "1/4 videos" in output.getvalue()
    assert "0.2 MB" in output.getvalue()


def test_sizes_are_said_as_people_do() -> None:
    assert megabytes(8_600_000) == "8.6 MB"
    assert megabytes(4_100_000_000) == "4.1 GB"
