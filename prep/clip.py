"""What preparing one video comes to: its frames, or the reason that there are none."""

from dataclasses import dataclass

from prep.select import Resize


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


@dataclass(frozen=True)
class Clip:
    """The chosen frames of one video.

    times: when each is shown, in seconds; not a number where nothing says. size: height, width.
    decoded: how many frames the video has. promised: how many its header claims; 0 for unknown.
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
