"""The choice of frames by number, and their size. Arithmetic only.

Frames are counted here; `prep.timeline` chooses where the rate is not constant. 32 evenly spaced
frames of 300 are the middles of 32 equal parts: ``select_frames(300, 32)[:3] == [4, 14, 23]``.
"""

from typing import Literal

Resize = Literal["square", "short-side"]


def select_frames(count: int, frames: int) -> list[int]:
    """Return the middles of ``frames`` equal parts of ``count`` frames; fewer ones repeat."""
    return [(2 * part + 1) * count // (2 * frames) for part in range(frames)]


def repeat_evenly(count: int, frames: int) -> list[int]:
    """Return the rank of each of ``select_frames(count, frames)`` among their distinct values."""
    chosen = select_frames(count, frames)
    places = {index: place for place, index in enumerate(sorted({*chosen}))}
    return [places[index] for index in chosen]


def even_enough(claimed: int, decoded: int, frames: int) -> bool:
    """True where frames chosen for a count of ``claimed`` are even among ``decoded`` frames too.

    The counts of headers are often off by one or two. The choice is good enough where each frame
    lies within half a part of its place, and the last one exists.
    """
    spread = abs(claimed - decoded) * 2 * frames <= claimed
    return spread and (claimed == decoded or select_frames(claimed, frames)[-1] < decoded)


def select_expression(count: int, frames: int) -> str:
    """Return `select_frames` as an expression of ffmpeg's ``select`` filter, where n is the frame.

    The middle of part p lies in frame n when n <= (2p + 1) count / (2 frames) < n + 1. So n is
    kept when more parts have their middle before n + 1 than before n. The quotients that decide
    are whole numbers, which doubles hold exactly.
    """
    middles = "ceil(({n}*{twice_frames}-{count})/{twice_count})"
    numbers = {"twice_frames": 2 * frames, "twice_count": 2 * count, "count": count}
    before, after = (middles.format(n=n, **numbers) for n in ("n", "(n+1)"))
    return f"lt(n,{count})*gt({after},{before})"


def rate_expression(fps: float) -> str:
    """Return a ``select`` expression of ffmpeg for the first frame of each 1/fps seconds."""
    # A frame on a boundary, such as t = 0.2 at 5 fps, must not be rounded into the part before.
    period = f"floor((t-start_t)*{fps!r}+1e-6)"
    last = f"floor((prev_selected_t-start_t)*{fps!r}+1e-6)"
    # Where time goes back, as in recordings that were joined, a new part begins as well.
    return f"isnan(prev_selected_t)+gt(abs({period}-{last}),0)"


def resized(width: float, height: float, *, resize: Resize, size: int) -> tuple[int, int]:
    """Return width and height after the resize of an upright picture with square pixels."""
    if resize == "square":
        return size, size
    short = min(width, height)
    return _even(width * size / short), _even(height * size / short)


def resize_expressions(resize: Resize, size: int) -> tuple[str, str]:
    """Return `resized` as expressions of ffmpeg's ``scale`` filter; dar is the display ratio."""
    if resize == "square":
        return str(size), str(size)
    wide = f"2*floor({size}*dar/2+0.5)"
    high = f"2*floor({size}/dar/2+0.5)"
    return f"if(gt(dar,1),{wide},{_even(size)})", f"if(gt(dar,1),{_even(size)},{high})"


def fit_expressions(wide: int, high: int, shape: float) -> tuple[str, str]:
    """Return expressions for the size of a picture within ``wide`` x ``high``, at its own aspect.

    shape: the display ratio of the first picture, which fills the whole.
    """
    lower = f"max(2,2*floor({high}*{shape!r}/dar/2+0.5))"
    narrower = f"max(2,2*floor({wide}*dar/{shape!r}/2+0.5))"
    return f"if(gte(dar,{shape!r}),{wide},{narrower})", f"if(gt(dar,{shape!r}),{lower},{high})"


def _even(length: float) -> int:
    """Round to the nearest even number, because chroma is stored at half the size."""
    return 2 * int(length / 2 + 0.5)
