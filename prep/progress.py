"""Progress of a prep: a live line on a terminal, elsewhere a plain line now and then."""

import time

from rich.console import Console

from tasd.progress import ProgressLine, counted, rate_text


class ProgressBar(ProgressLine):
    """Count of prepared videos, their bytes, the rate and the time left, on standard error."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console or Console(stderr=True), title="preparing")
        self._videos = self._done_videos = self._done_bytes = 0
        self._began = time.monotonic()

    def __enter__(self) -> "ProgressBar":
        super().__enter__()
        return self

    def begin(self, videos: int, size: int) -> None:
        """Announce the number of videos to prepare, and their bytes."""
        self._videos = videos
        self._began = time.monotonic()
        if videos:
            self.say(f"{counted(videos, 'video')} to prepare, {megabytes(size)}")
            if self.console.is_terminal:
                self.advance(0, 0)  # the live line appears before the first video is done

    def advance(self, videos: int, size: int) -> None:
        """Add finished videos and their bytes; negative numbers where work was lost."""
        self._done_videos += videos
        self._done_bytes += size
        seconds = time.monotonic() - self._began
        rate = rate_text(self._done_videos, self._videos, "videos", seconds)
        if not self._videos:  # of archives without a list, nobody knows how many
            rate = counted(self._done_videos, "video")
        text = f"{rate}  {megabytes(self._done_bytes)}"
        self.show(text, done=self._done_videos, total=self._videos or None)


def megabytes(size: int) -> str:
    """Return a size in bytes as MB or GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
