"""What preparing one video comes to: its frames, or the reason that there are none."""

from dataclasses import dataclass

from prep.select import Resize
from tasd.errors import UserError

LEAST_SIZE, MOST_SIZE = 16, 4096
MOST_FRAMES, MOST_FPS = 10_000, 1000


@dataclass(frozen=True)
class FrameSettings:
    """Which frames are kept and how large they are.

    frames: how many, evenly spaced; None keeps all. fps: so many a second instead.
    """

    frames: int | None = 32
    fps: float | None = None
    resize: Resize = "square"
    size: int = 256

    def as_json(self) -> dict[str, object]:
        """As the store remembers them."""
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
    """Settings as they are typed: ``frames`` is a number or "all". Raises `UserError`."""
    if frames is not None and fps is not None:
        raise UserError(f"--frames {frames} and --fps {fps} both choose the frames; give one")
    if fps is not None and not 0 < fps <= MOST_FPS:
        raise UserError(f"--fps is {fps}; it must lie between 0 and {MOST_FPS}")
    if not LEAST_SIZE <= size <= MOST_SIZE:
        raise UserError(f"--size is {size}; it must lie between {LEAST_SIZE} and {MOST_SIZE}")
    return FrameSettings(
        frames=_count(frames or "32"), fps=fps and float(fps), resize=resize, size=size
    )


def _count(frames: str) -> int | None:
    if frames == "all":
        return None
    if frames.isdecimal() and 0 < int(frames) <= MOST_FRAMES:
        return int(frames)
    raise UserError(f"--frames is {frames!r}; it must be 'all' or from 1 to {MOST_FRAMES}")


@dataclass(frozen=True)
class Clip:
    """The chosen frames of one video.

    times: when each is shown, in seconds; not a number where nothing says. size: height, width.
    decoded: how many frames the video has. promised: how many its header counts; 0 for unknown.
    complaint: the decoder's last, empty when it had none.
    """

    jpegs: tuple[bytes, ...]
    times: tuple[float, ...]
    size: tuple[int, int]
    decoded: int
    promised: int = 0
    complaint: str = ""


class UnreadableVideo(Exception):
    """A video that gives no frames; the text is the reason, one line."""
