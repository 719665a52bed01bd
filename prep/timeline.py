"""The choice of frames by time, for videos whose rate is not constant. Arithmetic only.

At a constant rate every so-and-so-manyth frame is evenly spaced in time as well, and
`prep.select` chooses. Elsewhere the frame that is shown at each of the evenly spaced moments is
kept: ``select_in_time([0.0, 0.1, 0.2, 0.3, 1.0, 2.0], 3) == [3, 4, 5]``.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median

from prep.select import select_frames

JOINED_STEPS = 10  # a step back of more typical steps is a second recording
ROUNDING = 0.002  # seconds; Matroska and FLV count time in milliseconds
# An argument of a program has at most 128 KiB on Linux.
LONGEST_EXPRESSION = 100_000


def timeline(times: Sequence[float]) -> list[float]:
    """Return times that never go back, in seconds from the first frame.

    Unknown times, equal ones and single ones that are out of order are interpolated. Where time
    goes back further, as in two recordings that were joined, it goes on from there.
    """
    typical = _typical_step(times)
    anchors: list[tuple[int, float]] = []  # number of a frame, and when it is shown
    latest = -math.inf
    for number, time in enumerate(times):
        if not math.isfinite(time):
            continue
        if not anchors:
            anchors.append((number, number * typical))
        elif time > latest:
            anchors.append((number, anchors[-1][1] + time - latest))
        elif latest - time > JOINED_STEPS * typical:
            anchors.append((number, anchors[-1][1] + (number - anchors[-1][0]) * typical))
        else:
            continue
        latest = time
    return _interpolated(anchors, len(times), typical)


def _typical_step(times: Sequence[float]) -> float:
    finite = [(number, time) for number, time in enumerate(times) if math.isfinite(time)]
    # Frames that share a time share the step to the next one.
    known = [next(group) for _, group in groupby(finite, key=lambda frame: frame[1])]
    steps = [(after - before) / (b - a) for (a, before), (b, after) in pairwise(known)]
    forward = [step for step in steps if step > 0]
    return median(forward) if forward else 0.0


def _interpolated(anchors: Sequence[tuple[int, float]], count: int, typical: float) -> list[float]:
    shown: list[float] = []
    for (number, time), (later, end) in pairwise([(0, 0.0), *anchors]):
        step = (end - time) / (later - number) if later > number else 0.0
        shown += [time + at * step for at in range(later - number)]
    start = anchors[-1][1] if anchors else 0.0
    return shown + [start + at * typical for at in range(count - len(shown))]


def in_order(times: Sequence[float]) -> list[float]:
    """Return the times as they are; where some are unknown or go back, as `timeline` has them."""
    if not times or all(before <= after for before, after in pairwise([times[0], *times])):
        return list(times)
    known = [(number, time) for number, time in enumerate(times) if math.isfinite(time)]
    if not known:
        return list(times)
    shown = timeline(times)
    start = known[0][1] - shown[known[0][0]]
    return [start + time for time in shown]


def shown_seconds(times: Sequence[float]) -> float:
    """Return how long the frames are shown; the last one as long as the one before it."""
    shown = timeline(times)
    return shown[-1] + (shown[-1] - shown[-2] if len(shown) > 1 else 0.0)


def steady(numbers: Sequence[int], times: Sequence[float], *, count: int, frames: int) -> bool:
    """True where frames chosen by number, of ``count``, are evenly spaced in time too.

    Each must lie within a frame, and within half a part, of the line from the first to the last.
    """
    if len(numbers) < 2:
        return True
    step = (times[-1] - times[0]) / (numbers[-1] - numbers[0])
    if not step > 0 or math.isinf(step):
        return False
    allowed = min(step, step * count / (2 * frames)) + ROUNDING
    places = ((n - numbers[0]) * step + times[0] for n in numbers)
    return all(abs(time - place) <= allowed for time, place in zip(times, places, strict=True))


def select_in_time(times: Sequence[float], frames: int) -> list[int]:
    """Return the numbers of ``frames`` frames, evenly spaced in time; fewer ones repeat.

    times: those of all frames. The choice is that of `select_frames` where this is even in time.
    """
    shown, whole = timeline(times), shown_seconds(times)
    by_number = select_frames(len(times), frames)
    moments = [(2 * part + 1) * whole / (2 * frames) for part in range(frames)]
    step = whole / len(times)
    allowed = step / 2 + min(step, whole / (2 * frames)) + ROUNDING
    middles = (shown[number] + step / 2 for number in by_number)
    if not whole > 0 or all(abs(a - b) <= allowed for a, b in zip(middles, moments, strict=True)):
        return by_number
    return [bisect_right(shown, moment) - 1 for moment in moments]


def numbers_expression(numbers: Sequence[int]) -> str:
    """Return a ``select`` expression of ffmpeg that keeps these frames, a tree of comparisons.

    Empty, which keeps all frames, where it would be longer than an argument may be.
    """
    text = _tree(sorted({*numbers}))
    return text if len(text) <= LONGEST_EXPRESSION else ""


def _tree(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"eq(n,{numbers[0]})"
    half = len(numbers) // 2
    return f"if(lt(n,{numbers[half]}),{_tree(numbers[:half])},{_tree(numbers[half:])})"
