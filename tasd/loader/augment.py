"""Crop, colour and flip of views as numbers that each decoder applies.

Nothing is random here: a view holds what was drawn with the episode. Crop fractions become pixel
offsets, and jitter factors become one linear colour matrix. Both loaders read these numbers and
nothing else, so that they treat a view alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasd.episodes import View

LUMA = (0.299, 0.587, 0.114)  # Rec. 601, as in JPEG
MID_GREY = 128.0  # contrast leaves this value unchanged
NO_JITTER = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Treatment:
    """Crop, colour and flip of each frame of a batch, in this order; one row a frame.

    corner: int32 (frames, 2), the top and left pixel of the crop.
    colour: float32 (frames, 3, 4), matrix and offset on RGB, or None where no view is jittered.
    flip: int32 (frames,), 1 where the frame is mirrored left to right.
    """

    corner: NDArray[np.int32]
    colour: NDArray[np.float32] | None
    flip: NDArray[np.int32]


def treatment(
    views: Sequence[View], stored: Sequence[tuple[int, int]], *, size: int, time: int
) -> Treatment:
    """Compute the treatment of ``views``, each repeated for its ``time`` frames.

    stored: height and width of the stored frames of each view.
    """
    corners = [corner(v.crop, stored=s, size=size) for v, s in zip(views, stored, strict=True)]
    jittered = any(view.jitter != NO_JITTER for view in views)
    colours = np.stack([colour_matrix(v.jitter) for v in views]) if jittered else None
    return Treatment(
        corner=np.repeat(np.array(corners, np.int32), time, axis=0),
        colour=None if colours is None else np.repeat(colours, time, axis=0),
        flip=np.repeat(np.array([view.flip for view in views], np.int32), time),
    )


def corner(crop: tuple[float, float], *, stored: tuple[int, int], size: int) -> tuple[int, int]:
    """Return the top and left pixel of a square crop of ``size``.

    crop: the offsets from top and left as fractions of the largest ones possible.
    stored: height and width of the stored frame.
    """
    (top, left), (height, width) = crop, stored
    assert min(crop) >= 0, crop
    assert max(crop) <= 1, crop
    assert size <= min(height, width), f"a crop of {size} from frames of {height}x{width}"
    return round(top * (height - size)), round(left * (width - size))


def colour_matrix(jitter: tuple[float, float, float]) -> NDArray[np.float32]:
    """Compute jitter as one matrix and offset (3, 4) on RGB, 0..255.

    Saturation s mixes each colour with its own grey, contrast c then scales its distance from
    mid-grey, and brightness b the result: b * (c * (s * rgb + (1 - s) * luma) + (1 - c) * 128).
    """
    brightness, contrast, saturation = jitter
    grey = np.tile(np.array(LUMA), (3, 1))
    matrix = saturation * np.eye(3) + (1 - saturation) * grey
    offset = np.full((3, 1), MID_GREY * (1 - contrast))
    return (brightness * np.hstack([contrast * matrix, offset])).astype(np.float32)
