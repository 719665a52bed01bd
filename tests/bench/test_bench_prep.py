from pathlib import Path

import pytest
from rich.console import Console

from tasd.bench.prep import (
    DECODE,
    FIELD,
    PREP,
    Taken,
    bench_prep,
    find_clips,
    prep_table,
    prep_times,
)
from tasd.errors import UserError
from tests.videos import make_clip, make_tree


def test_a_speed_is_the_median_of_ratios_within_a_round() -> None:
    taken = {
        (1, FIELD): [Taken(1.0, 2.0), Taken(4.0, 2.0), Taken(1.0, 2.0)],
        (1, PREP): [Taken(0.5, 0.5), Taken(0.4, 0.5), Taken(0.2, 0.5)],
    }
    field, own = prep_times(taken)
    assert field.speed == 1
    assert own.speed == pytest.approx(5)
    assert own.milliseconds == pytest.approx(400)
    assert field.cpu_milliseconds == pytest.approx(2000)


def test_every_way_is_timed_on_a_persons_own_clips(tmp_path: Path) -> None:
    clip = make_clip(tmp_path, "h264_forty.mp4")
    root = make_tree(tmp_path / "videos", clip, classes=2, videos=2)
    figures = bench_prep(root, clips=3, videos=6, rounds=1)
    assert figures.clips == 3
    assert {way.way for way in figures.ways} >= {FIELD, DECODE, PREP}
    assert all(way.milliseconds > 0 for way in figures.ways)
    assert figures.worker_mib > 10  # the largest child this process ever had, so no upper bound
    console = Console(width=120, record=True)
    console.print(prep_table(figures))
    assert "tasd prep" in console.export_text()


def test_a_folder_without_videos_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no video"):
        find_clips(tmp_path, 8)
