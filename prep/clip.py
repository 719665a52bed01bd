"""The chosen frames of one video, and the settings that choose them."""

from dataclasses import dataclass

from prep.select import Resize
from tasd.errors import Mistakes, UserError

LEAST_SIZE, MOST_SIZE = 16, 4096
MOST_FRAMES, MOST_FPS = 10_000, 1000
# Codes of causes outside the file: such a video is tried again, at once and by the next prep.
PASSING = ("killed", "vanished", "read_error", "busy", "no_resources")


@dataclass(frozen=True)
class FrameSettings:
    """Number and size of the frames that are kept of each video.

    frames: how many, evenly spaced; None keeps all. fps: frames per second, in place of a number.
    """

    frames: int | None = 32
    fps: float | None = None
    resize: Resize = "square"
    size: int = 256

    def as_json(self) -> dict[str, object]:
        """Return the settings as the store records them."""
        frames = "all" if self.frames is None else self.frames
        return {
            "frames": frames if self.fps is None else None,
            "fps": self.fps,
            "resize": self.resize,
            "size": self.size,
        }


def frame_settings(
    *, frames: str | None, fps: float | None, resize: Resize, size: int
) -> FrameSettings:
    """Check the options of a command; ``frames`` is a number or "all". Raises `UserError`."""
    with Mistakes() as mistakes:
        if frames is not None and fps is not None:
            told = f"--frames {frames} and --fps {fps} both choose the frames; give one"
            mistakes.add(UserError(told))
        if fps is not None and not 0 < fps <= MOST_FPS:
            told = f"--fps is {fps}; it must be above 0 and at most {MOST_FPS}"
            mistakes.add(UserError(told))
        if not LEAST_SIZE <= size <= MOST_SIZE:
            told = f"--size is {size}; it must be from {LEAST_SIZE} to {MOST_SIZE}"
            mistakes.add(UserError(told))
        count = mistakes.of(_count, frames or "32")
    return FrameSettings(frames=count, fps=fps and float(fps), resize=resize, size=size)


def _count(frames: str) -> int | None:
    if frames == "all":
        return None
    if frames.isdecimal() and 0 < int(frames) <= MOST_FRAMES:
        return int(frames)
    raise UserError(f"--frames is {frames!r}; it must be 'all' or a number from 1 to {MOST_FRAMES}")


@dataclass(frozen=True)
class Clip:
    """The chosen frames of one video.

    times: when each frame is shown, in seconds; NaN where unknown. size: height, width.
    decoded: how many frames the video has. header_frames: how many its header counts; 0 where
    that is unknown. complaint: the first error of the decoder; empty where there was none.
    seconds, header_seconds: its length as decoded and by its header, where they were compared;
    else 0. remarks: more that a person should know, by the code of each. doubt: code of a cause
    outside the file for which part of it may be missing; empty where there is none.
    """

    jpegs: tuple[bytes, ...]
    times: tuple[float, ...]
    size: tuple[int, int]
    decoded: int
    header_frames: int = 0
    complaint: str = ""
    seconds: float = 0.0
    header_seconds: float = 0.0
    remarks: tuple[tuple[str, str], ...] = ()
    doubt: str = ""


class UnreadableVideo(Exception):
    """A video without readable frames; the text is the reason, one line.

    code: of the reason, for scripts; docs/prep.md has the list. One of `PASSING` is no fault of
    the file.
    """

    def __init__(self, reason: str, *, code: str = "undecodable") -> None:
        super().__init__(reason)
        self.code = code
