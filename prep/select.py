"""Which frames of a video are kept, and at what size. Arithmetic only.

Frames are counted, not timed: of 300 frames, 32 evenly spaced ones are the middles of 32 equal
parts, ``select_frames(300, 32)[:3] == [4, 14, 23]``.
"""

from typing import Literal

Resize = Literal["square", "short-side"]


def select_frames(count: int, frames: int) -> list[int]:
    """The middles of ``frames`` equal parts of ``count`` frames; repeats where these are fewer."""
    return [(2 * part + 1) * count // (2 * frames) for part in range(frames)]


def repeat_evenly(count: int, frames: int) -> list[int]:
    """Where among the different frames of ``select_frames(count, frames)`` each of them lies."""
    chosen = select_frames(count, frames)
    places = {index: place for place, index in enumerate(sorted({*chosen}))}
    return [places[index] for index in chosen]


def even_enough(promised: int, decoded: int, frames: int) -> bool:
    """Whether frames chosen for ``promised`` are still even among those that were ``decoded``.

    Containers are often off by one or two frames. Each choice then lies within half a part of
    its place, and every one was there to be taken.
    """
    spread = abs(promised - decoded) * 2 * frames <= promised
    return spread and (promised == decoded or select_frames(promised, frames)[-1] < decoded)


def select_expression(count: int, frames: int) -> str:
    """`select_frames` as ffmpeg's ``select`` filter understands it, where n is the frame.

    Part p is taken at n when n <= (2p + 1) count / (2 frames) < n + 1, so n is kept when more
    parts have their middle before n + 1 than before n. Doubles hold these quotients exactly
    where it matters: at whole numbers.
    """
    middles = "ceil(({n}*{twice_frames}-{count})/{twice_count})"
    numbers = {"twice_frames": 2 * frames, "twice_count": 2 * count, "count": count}
    before, after = (middles.format(n=n, **numbers) for n in ("n", "(n+1)"))
    return f"lt(n,{count})*gt({after},{before})"


def rate_expression(fps: float) -> str:
    """Of each 1/fps seconds the first frame, in the words of ffmpeg's ``select`` filter."""
    # The small sum keeps a frame that lies on a boundary, such as t = 0.2 at 5 a second, there.
    period = f"floor((t-start_t)*{fps!r}+1e-6)"
    last = f"floor((prev_selected_t-start_t)*{fps!r}+1e-6)"
    return f"isnan(prev_selected_t)+gt({period},{last})"


def resized(width: float, height: float, *, resize: Resize, size: int) -> tuple[int, int]:
    """Width and height after the resize, of an upright picture with square pixels."""
    if resize == "square":
        return size, size
    short = min(width, height)
    return _even(width * size / short), _even(height * size / short)


def resize_expressions(resize: Resize, size: int) -> tuple[str, str]:
    """`resized` in the words of ffmpeg's ``scale`` filter; dar is the shape as displayed."""
    if resize == "square":
        return str(size), str(size)
    wide = f"2*floor({size}*dar/2+0.5)"
    high = f"2*floor({size}/dar/2+0.5)"
    return f"if(gt(dar,1),{wide},{_even(size)})", f"if(gt(dar,1),{_even(size)},{high})"


def _even(length: float) -> int:
    """The nearest even number: chroma is stored at half the size."""
    return 2 * int(length / 2 + 0.5)
