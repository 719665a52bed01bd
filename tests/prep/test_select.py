import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prep.select import (
    even_enough,
    rate_expression,
    repeat_evenly,
    resize_expressions,
    resized,
    select_expression,
    select_frames,
)

counts = st.integers(1, 5000)
wishes = st.integers(1, 300)


def as_ffmpeg_would(expression: str, **names: float) -> float:
    """Evaluate an expression of ffmpeg as Python, with ffmpeg's functions defined."""
    functions = {
        "eq": lambda a, b: float(a == b),
        "lt": lambda a, b: float(a < b),
        "gt": lambda a, b: float(a > b),
        "ceil": math.ceil,
        "floor": lambda a: a if math.isnan(a) else math.floor(a),
        "isnan": lambda a: float(math.isnan(a)),
        "choose": lambda condition, yes, no: yes if condition else no,
    }
    return float(eval(re.sub(r"\bif\(", "choose(", expression), functions | names))


def test_of_300_frames_the_middles_of_32_parts_are_kept() -> None:
    assert select_frames(300, 32)[:3] == [4, 14, 23]
    assert select_frames(300, 32)[-1] == 295


@given(count=counts, frames=wishes)
def test_each_chosen_frame_lies_in_the_middle_of_its_part(count: int, frames: int) -> None:
    for part, index in enumerate(select_frames(count, frames)):
        assert 0 <= index < count
        assert index <= (part + 0.5) * count / frames < index + 1


@given(count=counts, frames=wishes)
def test_fewer_frames_than_asked_are_repeated_evenly(count: int, frames: int) -> None:
    chosen = select_frames(count, frames)
    times = [chosen.count(index) for index in range(count)]
    assert max(times) - min(times) <= 1


@given(count=st.integers(1, 400), frames=st.integers(1, 64))
def test_the_select_expression_keeps_exactly_the_chosen_frames(count: int, frames: int) -> None:
    expression = select_expression(count, frames)
    kept = [n for n in range(count + 50) if as_ffmpeg_would(expression, n=n)]
    assert kept == sorted({*select_frames(count, frames)})


@given(count=counts, frames=wishes)
def test_repeated_frames_stand_where_they_were_chosen(count: int, frames: int) -> None:
    different = sorted({*select_frames(count, frames)})
    places = repeat_evenly(count, frames)
    assert [different[place] for place in places] == select_frames(count, frames)


@given(claimed=counts, decoded=counts, frames=wishes)
def test_a_choice_that_is_even_enough_was_there_to_be_taken(
    claimed: int, decoded: int, frames: int
) -> None:
    if even_enough(claimed, decoded, frames):
        chosen = select_frames(claimed, frames)
        assert chosen[-1] < decoded
        true = select_frames(decoded, frames)
        half_a_part = claimed / (2 * frames)
        assert all(abs(a - b) <= half_a_part + 1 for a, b in zip(chosen, true, strict=True))


@pytest.mark.parametrize(("claimed", "decoded", "even"), [(300, 300, True), (300, 297, True)])
def test_a_header_may_be_off_by_a_few_of_many(claimed: int, decoded: int, even: bool) -> None:
    assert even_enough(claimed, decoded, 32) == even
    assert not even_enough(claimed, decoded - 20, 32)
    assert not even_enough(20, 19, 32)


def test_a_rate_keeps_the_first_frame_of_each_period() -> None:
    kept, last = [], math.nan
    expression = rate_expression(5.0)
    for number in range(60):
        time = 3 + number / 30
        if as_ffmpeg_would(expression, t=time, start_t=3, prev_selected_t=last):
            kept.append(number)
            last = time
    assert kept == [0, 6, 12, 18, 24, 30, 36, 42, 48, 54]


@given(width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_the_short_side_is_reached_and_the_shape_kept(width: int, height: int) -> None:
    wide, high = resized(width, height, resize="short-side", size=256)
    assert min(wide, high) == 256
    assert wide % 2 == high % 2 == 0
    assert max(wide, high) == pytest.approx(256 * max(width, height) / min(width, height), abs=1.01)


@given(width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_the_expressions_for_ffmpeg_are_the_same_arithmetic(width: int, height: int) -> None:
    wide, high = resize_expressions("short-side", 256)
    dar = width / height
    found = (as_ffmpeg_would(wide, dar=dar), as_ffmpeg_would(high, dar=dar))
    expected = resized(width, height, resize="short-side", size=256)
    assert found == pytest.approx(expected, abs=2 if max(found) > 1e5 else 0) or _on_an_edge(dar)


def _on_an_edge(dar: float) -> bool:
    """True where the longer side lies half way between two even numbers, within rounding."""
    half = 128 * max(dar, 1 / dar)
    return abs(half - math.floor(half) - 0.5) < 1e-6


def test_a_square_is_a_square() -> None:
    assert resized(1920, 1080, resize="square", size=224) == (224, 224)
    assert resize_expressions("square", 224) == ("224", "224")
