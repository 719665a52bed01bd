"""Windows that slide over long videos; each is labelled as a clip of its own."""

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

OUTPUT_MIB = 1024  # most JPEG frames of one video, which are in memory while it decodes
HIGHEST_FPS = 1000.0


@dataclass(frozen=True)
class Windows:
    """Windows of ``length`` seconds, one every ``stride`` seconds. Raises `UserError`."""

    length: float
    stride: float

    def __post_init__(self) -> None:
        if not (0 < self.length < np.inf and 0 < self.stride < np.inf):
            raise UserError(
                f"--window {self.length:g} --stride {self.stride:g}: both must be seconds above 0"
            )
        if self.stride > self.length:
            raise UserError(
                f"--stride {self.stride:g} is longer than --window {self.length:g}, and frames "
                "between two windows would be left out; give a shorter --stride"
            )

    @property
    def limits(self) -> Limits:
        """The limits of prep, with more memory for frames."""
        return Limits(output_mib=OUTPUT_MIB)

    def settings(self, like: FrameSettings, frames: int) -> FrameSettings:
        """Return settings that keep two frames for each frame that is sampled from a window.

        like: the settings of training, for the size of a frame. frames: sampled from a window.

        The middle of each of a window's ``frames`` equal parts is then a stored frame.
        Raises `UserError`.
        """
        fps = 2 * frames / self.length
        if fps > HIGHEST_FPS:
            raise UserError(
                f"--window {self.length:g} is too short for {frames} frames; give "
                f"{2 * frames / HIGHEST_FPS:g} seconds or more"
            )
        return FrameSettings(frames=None, fps=fps, resize=like.resize, size=like.size)

    def views_of(self, frames: int) -> ViewsOf:
        """Return a function that gives a view of each window; a shorter clip is one window."""

        def views(store: Store, clip: str) -> tuple[ClipView, ...]:
            times = store.frame_times(clip)
            if not np.isfinite(times).all():
                raise UserError("its frames have no times, and --window needs them")
            elapsed = times - times[0]
            duration = float(elapsed[-1]) + self.length / (2 * frames)
            return tuple(
                ClipView(window_view(clip, elapsed, span, frames), span)
                for span in self.spans(duration)
            )

        return views

    def spans(self, duration: float) -> list[tuple[float, float]]:
        """Return start and end of each window in seconds.

        No more than half a stride at the end of the video is in no window.
        """
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
    """Sample the stored frames nearest to the middles of ``frames`` equal parts of a window."""
    start, end = span
    middles = start + (np.arange(frames) + 0.5) * (end - start) / frames
    after = np.searchsorted(times, middles).clip(1, max(1, len(times) - 1))
    if len(times) == 1:
        nearest = np.zeros(frames, np.int64)
    else:
        nearest = after - (middles - times[after - 1] < times[after] - middles)
    return View(clip, tuple(float((index + 0.5) / len(times)) for index in nearest))


@dataclass(frozen=True)
class Segment:
    """Consecutive windows with the same label; start and end in seconds."""

    label: str
    start: float
    end: float


def segments(answers: Sequence[Answer]) -> list[Segment]:
    """Join consecutive windows of one video that have the same label.

    Where windows overlap, the border is halfway between their middles.
    """
    windows = [(a.label, a.span) for a in answers if a.label is not None and a.span is not None]
    if not windows:
        return []
    middles = [(start + end) / 2 for _, (start, end) in windows]
    between = [(left + right) / 2 for left, right in itertools.pairwise(middles)]
    borders = [windows[0][1][0], *between, windows[-1][1][1]]
    parts = zip((label for label, _ in windows), borders[:-1], borders[1:], strict=True)
    found = []
    for label, group in itertools.groupby(parts, key=lambda part: part[0]):
        joined = list(group)
        found.append(Segment(label, joined[0][1], joined[-1][2]))
    return found
