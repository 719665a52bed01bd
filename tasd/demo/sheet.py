"""The contact sheet: a picture of one episode with the predicted class of each query."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

CELL, GAP = 64, 2  # pixels: a frame's side, and the space between two
LABEL, HEAD, MARGIN, GUTTER = 190, 60, 16, 28
INK, GREY, RIGHT, WRONG = "#1b1b1f", "#6b6b76", "#1a7f4b", "#c0352b"


@dataclass(frozen=True)
class Strip:
    """One video of the episode; ``predicted`` is None for support videos."""

    frames: NDArray[np.uint8]  # (time, height, width, 3) RGB
    truth: str
    predicted: str | None = None


def contact_sheet(support: Sequence[Strip], query: Sequence[Strip], *, title: str) -> Image.Image:
    """Draw the support on the left and the queries on the right, a row for each video.

    A query has a tick or a cross. In the order of an episode, each query is beside its class.
    """
    time = len(support[0].frames)
    half = time * (CELL + GAP) - GAP + LABEL
    rows = max(len(support), len(query))
    size = (2 * (half + MARGIN) + GUTTER, HEAD + rows * (CELL + 2 * GAP) + MARGIN)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 10), title, INK, _font(17))
    columns = ((MARGIN, "support: the only examples"), (MARGIN + half + GUTTER, "queries"))
    for (left, heading), strips in zip(columns, (support, query), strict=True):
        draw.text((left, 36), heading, GREY, _font(14))
        for row, strip in enumerate(strips):
            _strip(sheet, strip, left=left, top=HEAD + row * (CELL + 2 * GAP))
    return sheet


def _strip(sheet: Image.Image, strip: Strip, *, left: int, top: int) -> None:
    for number, frame in enumerate(strip.frames):
        tile = Image.fromarray(frame).resize((CELL, CELL), Image.Resampling.LANCZOS)
        sheet.paste(tile, (left + number * (CELL + GAP), top))
    draw = ImageDraw.Draw(sheet)
    x, y = left + len(strip.frames) * (CELL + GAP) + 8, top + CELL // 2
    if strip.predicted is None:
        draw.text((x, y), strip.truth, INK, _font(14), anchor="lm")
        return
    correct = strip.predicted == strip.truth
    _mark(draw, x, y - (0 if correct else 9), correct=correct)
    draw.text((x + 20, y - (0 if correct else 9)), strip.predicted, INK, _font(14), anchor="lm")
    if not correct:
        draw.text((x + 20, y + 9), f"is: {strip.truth}", GREY, _font(13), anchor="lm")


def _mark(draw: ImageDraw.ImageDraw, x: int, y: int, *, correct: bool) -> None:
    """Draw a tick or a cross as lines, since not every font has them."""
    if correct:
        draw.line([(x, y), (x + 4, y + 5), (x + 13, y - 6)], RIGHT, 3, joint="curve")
    else:
        draw.line([(x + 1, y - 5), (x + 11, y + 5)], WRONG, 3)
        draw.line([(x + 1, y + 5), (x + 11, y - 5)], WRONG, 3)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
