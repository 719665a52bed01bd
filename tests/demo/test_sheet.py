"""The contact sheet shows every frame, and right and wrong answers differently."""

from dataclasses import replace

import numpy as np
from PIL import Image

from tasd.demo.sheet import CELL, HEAD, MARGIN, Strip, contact_sheet

WAY, TIME = 3, 8


def strips(*, predicted: str | None) -> list[Strip]:
    """One video a class; every frame a grey of its own."""
    greys = np.arange(WAY * TIME, dtype=np.uint8).reshape(WAY, TIME) * 10
    pixels = np.broadcast_to(greys[..., None, None, None], (WAY, TIME, 64, 64, 3))
    return [Strip(pixels[row].copy(), f"class {row}", predicted) for row in range(WAY)]


def sheet(query: list[Strip]) -> Image.Image:
    return contact_sheet(strips(predicted=None), query, title="an episode")


def colours(picture: Image.Image) -> set[tuple[int, int, int]]:
    return {tuple(int(c) for c in pixel) for pixel in np.asarray(picture).reshape(-1, 3)}


def test_every_frame_of_every_video_is_there_once_on_either_side() -> None:
    query = strips(predicted="class 0")
    picture = np.asarray(sheet(query))
    for strip in query:
        for frame in strip.frames:
            exact = (picture == frame[0, 0]).all(axis=-1).sum()
            assert exact >= 2 * CELL * CELL


def test_the_first_frame_of_the_first_video_stands_at_the_upper_left() -> None:
    support = strips(predicted=None)
    marked = np.full((TIME, 64, 64, 3), 200, np.uint8)
    marked[0] = (1, 2, 250)
    support[0] = replace(support[0], frames=marked)
    picture = contact_sheet(support, strips(predicted="class 1"), title="an episode")
    assert picture.getpixel((MARGIN + CELL // 2, HEAD + CELL // 2)) == (1, 2, 250)


def test_a_wrong_answer_has_a_cross_and_a_right_one_a_tick() -> None:
    right = [replace(strip, predicted=strip.truth) for strip in strips(predicted=None)]
    wrong = [replace(strip, predicted="another class") for strip in strips(predicted=None)]
    green, red = (26, 127, 75), (192, 53, 43)
    assert green in colours(sheet(right))
    assert red not in colours(sheet(right))
    assert red in colours(sheet(wrong))
    assert green not in colours(sheet(wrong))


def test_smaller_frames_are_drawn_at_the_same_size() -> None:
    small = [replace(strip, frames=strip.frames[:, ::2, ::2]) for strip in strips(predicted="a")]
    assert sheet(small).size == sheet(strips(predicted="a")).size
