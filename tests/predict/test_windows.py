"""Windows over long videos: their places, their frames, and their segments and timeline."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasd.errors import UserError
from tasd.predict import NONE_OF_THESE, Answer
from tasd.predict.timeline import draw_timeline
from tasd.predict.windows import Windows, segments, window_view


def test_windows_lie_a_stride_apart_and_reach_the_end():
    assert Windows(4.0, 2.0).spans(10.0) == [(0, 4), (2, 6), (4, 8), (6, 10)]
    assert Windows(4.0, 4.0).spans(11.0) == [(0, 4), (4, 8), (7, 11)]
    assert Windows(4.0, 4.0).spans(3.0) == [(0, 3)]


@given(st.floats(0.5, 20), st.floats(0.1, 1), st.floats(0.1, 200))
def test_windows_leave_no_more_than_half_a_stride_unseen(length, share, duration):
    stride = length * share
    spans = Windows(length, stride).spans(duration)
    assert spans[0][0] == 0
    assert spans[-1][1] <= duration + 1e-6 * length
    assert duration - spans[-1][1] <= stride / 2 + 1e-6 * length
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert start <= end + 1e-9


def test_a_window_looks_at_the_frames_nearest_to_the_middles_of_its_parts():
    times = np.arange(32) / 8.0  # two frames a part of a 2-second window of 8 parts
    view = window_view("clip", times, (1.0, 3.0), 8)
    assert view.frames(32) == [9, 11, 13, 15, 17, 19, 21, 23]
    slow = window_view("clip", np.array([0.0, 1.0, 2.0]), (0.0, 2.0), 4)
    assert slow.frames(3) == [0, 1, 1, 2]
    assert window_view("clip", np.array([0.0]), (0.0, 1.0), 3).frames(1) == [0, 0, 0]


@pytest.mark.parametrize(
    ("length", "stride"), [(0.0, 1.0), (1.0, 0.0), (1.0, 2.0), (float("inf"), 1.0)]
)
def test_windows_that_will_not_do_are_refused(length, stride):
    with pytest.raises(UserError, match="--stride"):
        Windows(length, stride)


def window(label: str, start: float, end: float, **more) -> Answer:
    scores = {"a": 0.0, "b": 0.0, "c": 0.0} | {label: 3.0}
    return Answer(Path("long.mp4"), scores, span=(float(start), float(end)), **more)


def test_windows_with_one_label_are_joined():
    answers = [window("a", 0, 4), window("a", 2, 6), window("b", 4, 8), window("b", 6, 10)]
    assert [(s.label, s.start, s.end) for s in segments(answers)] == [("a", 0, 5), ("b", 5, 10)]
    answers.append(window("c", 8, 12, accepted=False))
    assert [s.label for s in segments(answers)] == ["a", "b", NONE_OF_THESE]


def test_a_timeline_is_drawn_of_what_could_be_read(tmp_path):
    answers = [window("a", 0, 4), window("b", 2, 6, accepted=False)]
    answers.append(Answer(Path("x.mp4"), {}, problem="empty"))
    path = draw_timeline(["a", "b", "c"], answers, tmp_path / "new" / "timeline.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="no timeline to draw"):
        draw_timeline(["a", "b"], answers[2:], path)
    with pytest.raises(UserError, match=r"\.png"):
        draw_timeline(["a", "b", "c"], answers, tmp_path / "timeline.what")
