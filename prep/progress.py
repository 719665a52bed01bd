"""How far a prep is: a live line on a terminal, a plain one now and then elsewhere."""

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

SECONDS_BETWEEN_LINES = 15.0


class Audience(Protocol):
    """Who is told how it goes."""

    def begin(self, *, videos: int, size: int) -> None:
        """So many videos and bytes are to be prepared."""

    def told(self, videos: int, size: int) -> None:
        """So many more are done."""

    def say(self, line: str) -> None:
        """Something to know."""


class Silence:
    """An audience that does not listen."""

    def begin(self, *, videos: int, size: int) -> None:
        """Nothing."""

    def told(self, videos: int, size: int) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""


class ProgressBar:
    """Tells how many videos and bytes are done, how fast, and how long the rest will take.

    Speaks on standard error, so that what a script asked for stays apart.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        columns = TextColumn("preparing"), BarColumn(), TextColumn("{task.fields[text]}")
        self._live = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self._task: TaskID | None = None
        self._videos = self._bytes = 0
        self._done_videos = self._done_bytes = 0
        self._began = self._spoke = time.monotonic()

    def __enter__(self) -> "ProgressBar":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Something to know."""
        self.console.print(line, markup=False, soft_wrap=True)

    def begin(self, *, videos: int, size: int) -> None:
        """So many videos and bytes are to be prepared."""
        self._videos, self._bytes = videos, size
        self._began = self._spoke = time.monotonic()
        if videos:
            self.say(f"{counted(videos, 'video')} to prepare, {megabytes(size)}")
            self._task = self._live.add_task("", total=videos, text=f"0 of {videos:,} videos")

    def told(self, videos: int, size: int) -> None:
        """So many more are done."""
        self._done_videos += videos
        self._done_bytes += size
        text = self._text(time.monotonic() - self._began)
        if self._task is not None:
            self._live.update(self._task, completed=self._done_videos, text=text)
        if not self.console.is_terminal and self._line_is_due():
            self.say(text)

    def _line_is_due(self) -> bool:
        now = time.monotonic()
        due = now - self._spoke >= SECONDS_BETWEEN_LINES
        self._spoke = now if due else self._spoke
        return due

    def _text(self, seconds: float) -> str:
        rate = self._done_videos / max(seconds, 1e-9)
        left = (self._videos - self._done_videos) / rate if rate else 0.0
        done = f"{self._done_videos:,} of {self._videos:,} videos, {megabytes(self._done_bytes)}"
        return f"{done}, {rate:.1f} videos/s, {_duration(left)} left"


def counted(number: int, noun: str) -> str:
    """A number of things: 1 shard, 2 shards."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def megabytes(size: int) -> str:
    """A size in bytes as people say it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
