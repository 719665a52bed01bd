"""Offsets, flips and colour matrices of views, against plain arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasd.episodes import View
from tasd.loader.augment import colour_matrix, corner, treatment

fraction = st.floats(0, 1)
factor = st.floats(0.2, 1.8)


@pytest.mark.parametrize(
    ("crop", "stored", "expected"),
    [
        ((0.0, 0.0), (256, 340), (0, 0)),
        ((1.0, 1.0), (256, 340), (32, 116)),
        ((0.5, 0.5), (256, 340), (16, 58)),
        ((0.0, 1.0), (256, 340), (0, 116)),
        ((0.7, 0.3), (224, 224), (0, 0)),
    ],
)
def test_crop_fractions_divide_the_room_there_is(
    crop: tuple[float, float], stored: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert corner(crop, stored=stored, size=224) == expected


@given(fraction, fraction, st.integers(32, 99), st.integers(32, 99))
def test_every_crop_lies_inside_the_frame(top: float, left: float, height: int, width: int) -> None:
    y, x = corner((top, left), stored=(height, width), size=32)
    assert 0 <= y <= height - 32
    assert 0 <= x <= width - 32


def jittered(
    rgb: list[float], brightness: float, contrast: float, saturation: float
) -> list[float]:
    """The three steps one after the other, channel by channel."""
    grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    mixed = [grey + saturation * (value - grey) for value in rgb]
    stretched = [128 + contrast * (value - 128) for value in mixed]
    return [brightness * value for value in stretched]


@given(factor, factor, factor, st.tuples(*[st.integers(0, 255)] * 3))
def test_the_colour_matrix_is_saturation_then_contrast_then_brightness(
    brightness: float, contrast: float, saturation: float, rgb: tuple[int, int, int]
) -> None:
    matrix = colour_matrix((brightness, contrast, saturation))
    expected = jittered(list(map(float, rgb)), brightness, contrast, saturation)
    assert np.allclose(matrix @ np.array([*rgb, 1.0]), expected, atol=1e-3)


def test_no_jitter_is_the_identity() -> None:
    assert np.array_equal(colour_matrix((1.0, 1.0, 1.0)), np.eye(3, 4))


def test_a_treatment_repeats_each_view_for_its_frames() -> None:
    views = [
        View("a", (0.1, 0.2), crop=(0.0, 1.0), flip=True, jitter=(1.2, 1.0, 1.0)),
        View("b", (0.3, 0.4), crop=(1.0, 0.0)),
    ]
    drawn = treatment(views, [(40, 40), (50, 60)], size=32, time=2)
    assert drawn.corner.tolist() == [[0, 8], [0, 8], [18, 0], [18, 0]]
    assert drawn.flip.tolist() == [1, 1, 0, 0]
    assert drawn.colour is not None
    assert np.array_equal(drawn.colour[0], drawn.colour[1])
    assert np.array_equal(drawn.colour[2], np.eye(3, 4))


def test_colour_is_left_out_where_no_view_is_jittered() -> None:
    assert treatment([View("a", (0.5,))], [(40, 40)], size=32, time=1).colour is None
