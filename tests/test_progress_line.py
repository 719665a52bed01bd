"""Progress before the first step, beside long texts, and numbers with their nouns."""

import io

import pytest
from rich.console import Console

from tasd.progress import PhaseLine, ProgressLine, counted, rate_text, track


def terminal(width: int = 60) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_long_text_leaves_the_bar_its_place():
    console = terminal()
    with ProgressLine(console) as line:
        line.show("episode 1 " + "word " * 30, done=1, total=2)
        line._live.refresh()
    last = next(line for line in reversed(written(console).splitlines()) if "episode 1" in line)
    assert last.count("━") + last.count("╸") + last.count("╺") >= 19
    assert "…" in last


def test_a_phase_is_there_at_once_and_goes_away():
    console = terminal()
    with PhaseLine(console) as phase:
        phase("loading weights")
        phase.end()
        phase.end()
        with PhaseLine(console) as next_one:  # two live lines at once would be refused
            next_one("first step")
    assert "loading weights" in written(console)
    assert "first step" in written(console)


def test_elsewhere_a_phase_is_a_line_and_silence_is_kept():
    file = io.StringIO()
    with PhaseLine(Console(file=file)) as phase:
        phase("loading weights")
    with PhaseLine(Console(file=file), silent=True) as phase:
        phase("no word")
    assert file.getvalue() == "loading weights\n"


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "clip", "0 clips"),
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
        (1200, "video", "1,200 videos"),
        (1, "query", "1 query"),
        (5, "query", "5 queries"),
        (3, "training class", "3 training classes"),
    ],
)
def test_a_number_has_its_noun(number, noun, text):
    assert counted(number, noun) == text


def test_a_bar_is_there_before_the_first_item_is_done():
    console = terminal(80)
    items = track(iter("ab"), total=2, what="labels", unit="clips", console=console)
    next(items)
    assert "labels" in written(console)


def test_before_the_first_is_done_no_time_is_promised():
    assert rate_text(0, 30, "videos", 4.0) == "0/30 videos"
    assert rate_text(12, 30, "videos", 3.0) == "12/30 videos  4.0 videos/s  4 s left"


def test_a_block_begins_with_its_first_phase():
    console = terminal()
    with PhaseLine(console, first="loading torch"):
        pass
    assert "loading torch" in written(console)
