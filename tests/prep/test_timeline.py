import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.report import remark_on
from prep.select import select_frames
from prep.timeline import numbers_expression, select_in_time, steady, timeline
from tasd.datasets import SourceVideo
from tests.prep.test_select import as_ffmpeg_would
from tests.videos import run_ffmpeg

Decode = Callable[..., Clip | UnreadableVideo]
VIDEO = SourceVideo("a class", "a", "a", 1)


def test_unknown_equal_and_unordered_times_are_interpolated() -> None:
    assert timeline([0.0, 0.0, 1.0, 1.0, 2.0]) == pytest.approx([0, 0.5, 1, 1.5, 2])
    assert timeline([math.nan, 1.0, math.nan, 3.0]) == pytest.approx([0, 1, 2, 3])
    assert timeline([0.0, 2.0, 1.0, 3.0]) == pytest.approx([0, 2, 2.5, 3])


def test_the_last_of_frames_that_share_a_time_lasts_no_longer_than_the_others() -> None:
    pairs = [0.08 * (n // 2) for n in range(40)]
    assert timeline(pairs) == pytest.approx([0.04 * n for n in range(40)])
    assert select_in_time(pairs, 32) == select_frames(40, 32)


def test_a_second_recording_goes_on_after_the_first() -> None:
    joined = [n / 10 for n in range(40)] * 2
    assert timeline(joined) == pytest.approx([n / 10 for n in range(80)])


def test_the_frame_shown_at_each_moment_is_chosen() -> None:
    times = [0.0, 0.1, 0.2, 0.3, 1.0, 2.0]
    assert select_in_time(times, 3) == [3, 4, 5]
    assert not steady(range(6), times, count=6, frames=6)
    assert select_in_time([n / 25 for n in range(300)], 32)[:3] == [4, 14, 23]


def test_the_expression_of_numbers_keeps_exactly_these() -> None:
    numbers = [0, 3, 4, 17, 40]
    expression = numbers_expression([*numbers, 17])
    assert [n for n in range(60) if as_ffmpeg_would(expression, n=n)] == numbers


@pytest.mark.parametrize("name", ["rate.mkv", "rate.mp4", "rate.ts"])
def test_at_a_variable_rate_frames_are_even_in_time(
    decode: Decode, tmp_path: Path, name: str
) -> None:
    source = "testsrc=size=64x48:rate=25:duration=8"
    choice = "select='lt(t,1)+not(mod(n,25))'"
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-fps_mode", "vfr"]
    run_ffmpeg("-f", "lavfi", "-i", source, "-vf", choice, *encode, tmp_path / name)
    clip = decode(tmp_path / name, frames=16)
    assert isinstance(clip, Clip)
    times = np.array(clip.times) - clip.times[0]
    assert clip.decoded == 32
    assert (times < 1).sum() <= 4
    assert np.diff(times).max() < 1.2
    assert {code for code, _ in clip.remarks} == {"variable_rate"}


@pytest.mark.parametrize("frames", [32, None])
def test_equal_and_backward_times_decode(decode: Decode, shared: Path, frames: int | None) -> None:
    root = shared / "cases/equal_timestamps/root"
    whole = {"a/pairs_40frames.webm": 40, "b/pairs_200frames.mkv": 200}
    for name, count in {**whole, "c/two_recordings_joined.flv": 200}.items():
        clip = decode(root / name, frames=frames)
        assert isinstance(clip, Clip), name
        assert clip.decoded == count
        assert list(clip.times) == sorted(clip.times)
        assert clip.remarks == ()  # in time, their rate is constant


def test_dropped_frames_do_not_make_a_video_too_short(decode: Decode, shared: Path) -> None:
    path = shared / "cases/dropped_frames/root/a/dropped_frames.avi"
    for frames in (8, None):
        clip = decode(path, frames=frames)
        assert remark_on(VIDEO, clip, FrameSettings(frames=frames)) == []
