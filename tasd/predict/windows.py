"""Long videos: a window slides over them, and each place is labelled as a clip of its own."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from prep.clip import FrameSettings
from prep.limits import Limits
from tasd.episodes import View
from tasd.errors import UserError
from tasd.predict.answer import Answer
from tasd.predict.clips import ClipView, ViewsOf
from tasd.store import Store

# Of the frames that are kept of one video; its JPEGs wait in memory while it decodes.
OUTPUT_MIB = 1024
FASTEST = 1000.0  # frames a second


@dataclass(frozen=True)
class Windows:
    """Windows of ``length`` seconds, one every ``stride`` seconds. Raises `UserError`."""

    length: float
    stride: float

    def __post_init__(self) -> None:
        if not (0 < self.length < np.inf and 0 < self.stride < np.inf):
            raise UserError(
                f"--window {self.length:g} --stride {self.stride:g}: both are seconds above 0"
            )
        if self.stride > self.length:
            raise UserError(
                f"--stride {self.stride:g} is longer than --window {self.length:g}, and what lies "
                "between would not be looked at; give a shorter stride"
            )

    @property
    def limits(self) -> Limits:
        """As for any video, with more room for frames."""
        return Limits(output_mib=OUTPUT_MIB)

    def settings(self, like: FrameSettings, frames: int) -> FrameSettings:
        """Frames sized ``like`` those of training, two for each that a window is looked at by.

        The middle of each of a window's ``frames`` equal parts is then one of them.
        """
        fps = 2 * frames / self.length
        if fps > FASTEST:
            raise UserError(
                f"--window {self.length:g} is too short for {frames} frames; give "
                f"{2 * frames / FASTEST:g} seconds or more"
            )
        return FrameSettings(frames=None, fps=fps, resize=like.resize, size=like.size)

    def views_of(self, frames: int) -> ViewsOf:
        """A look at each window of a clip; one that is shorter is one window."""

        def views(store: Store, clip: str) -> tuple[ClipView, ...]:
            times = store.frame_times(clip)
            if not np.isfinite(times).all():
                raise UserError("its frames have no times, and --window needs them")
            since = times - times[0]
            end = float(since[-1]) + self.length / (2 * frames)
            return tuple(
                ClipView(window_view(clip, since, span, frames), span) for span in self.spans(end)
            )

        return views

    def spans(self, duration: float) -> list[tuple[float, float]]:
        """Start and end of each window; the last one ends where the video does."""
        if duration <= self.length:
            return [(0.0, duration)]
        count = int((duration - self.length) / self.stride + 1e-6) + 1
        starts = [number * self.stride for number in range(count)]
        if starts[-1] + self.length < duration - self.stride / 2:
            starts.append(duration - self.length)
        return [(start, start + self.length) for start in starts]


def window_view(
    clip: str, times: Float[np.ndarray, " stored"], span: tuple[float, float], frames: int
) -> View:
    """The stored frames nearest to the middles of ``frames`` equal parts of a window."""
    start, end = span
    middles = start + (np.arange(frames) + 0.5) * (end - start) / frames
    after = np.searchsorted(times, middles).clip(1, max(1, len(times) - 1))
    if len(times) == 1:
        nearest = np.zeros(frames, np.int64)
    else:
        nearest = after - (middles - times[after - 1] < times[after] - middles)
    return View(clip, tuple(float((index + 0.5) / len(times)) for index in nearest))


@dataclass(frozen=True)
class Stretch:
    """Windows next to each other that have one label; start and end in seconds."""

    label: str
    start: float
    end: float


def stretches(answers: Sequence[Answer]) -> list[Stretch]:
    """The windows of one video, joined where the label stays.

    Where windows overlap, each owns the time around its middle.
    """
    told = [(a.label, a.span) for a in answers if a.label is not None and a.span is not None]
    if not told:
        return []
    middles = [(start + end) / 2 for _, (start, end) in told]
    between = [(left + right) / 2 for left, right in itertools.pairwise(middles)]
    edges = [told[0][1][0], *between, told[-1][1][1]]
    cells = zip((label for label, _ in told), edges[:-1], edges[1:], strict=True)
    found = []
    for label, group in itertools.groupby(cells, key=lambda cell: cell[0]):
        own = list(group)
        found.append(Stretch(label, own[0][1], own[-1][2]))
    return found
