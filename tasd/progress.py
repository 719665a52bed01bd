"""Progress of long work: a live bar on a terminal, elsewhere a plain line now and then."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.text import Text

from tasd.foreign import clean, clean_lines

Item = TypeVar("Item")
BAR = 20  # characters
QUIET_SECONDS = 1.0  # shorter work shows nothing
SECONDS_BETWEEN_LINES = 15.0


class ProgressLine:
    """One live line of text on a terminal, or a plain line every `SECONDS_BETWEEN_LINES`.

    title: stands before the bar, and before each plain line. bar: draw a bar before the text.
    at_once: print the first plain line without waiting. silent: show nothing.
    """

    def __init__(
        self,
        console: Console,
        *,
        title: str = "",
        bar: bool = True,
        at_once: bool = False,
        silent: bool = False,
    ) -> None:
        self.console, self.title, self.silent = console, title, silent
        columns: list[ProgressColumn] = [TextColumn("{task.description}")] if title else []
        columns += [BarColumn(BAR)] if bar else []
        self._before = (len(title) + 1 if title else 0) + (BAR + 1 if bar else 0)
        # The text is one column: a narrow terminal cuts its end and keeps its beginning.
        columns.append(TextColumn("{task.fields[text]}"))
        live = console.is_terminal and not silent
        self._live = Progress(*columns, console=console, disable=not live)
        self._bar: TaskID | None = None
        self._last_line = -math.inf if at_once else time.monotonic()

    def __enter__(self) -> "ProgressLine":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def close(self) -> None:
        """Take the live line away."""
        if self._bar is not None:
            self._live.remove_task(self._bar)
            self._bar = None
        self._live.stop()

    def show(self, text: str, *, done: int, total: int | None) -> None:
        """Update the live line; without a terminal print a plain line when one is due."""
        text = clean(text)
        if self._bar is None:
            self._bar = self._live.add_task(self.title, total=total, text=text)
        shown = Text(text)  # cut here: rich would squeeze the bar to nothing for a long text
        shown.truncate(max(1, self.console.width - self._before), overflow="ellipsis")
        self._live.update(self._bar, completed=done, total=total, text=shown.plain)
        now = time.monotonic()
        if not self.console.is_terminal and now - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = now
            self.say(f"{self.title}: {text}" if self.title else text)

    def say(self, text: str) -> None:
        """Print one line above the live one."""
        if not self.silent:
            self.console.print(clean_lines(text), highlight=False, markup=False, soft_wrap=True)


class PhaseLine:
    """The work before the work, phase by phase: a moving bar on a terminal, elsewhere a line each.

    first: the phase that the block begins with, if any. silent: show nothing.
    """

    def __init__(
        self, console: Console | None = None, *, first: str = "", silent: bool = False
    ) -> None:
        self._line = ProgressLine(console or Console(), silent=silent)
        self._first = first

    def __enter__(self) -> "PhaseLine":
        self._line.__enter__()
        if self._first:
            self(self._first)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.close()

    def __call__(self, text: str) -> None:
        """Begin a phase."""
        if self._line.console.is_terminal:
            self._line.show(text, done=0, total=None)
        else:
            self._line.say(text)

    def end(self) -> None:
        """Take the bar away; may be called twice."""
        self._line.close()


def track(
    items: Iterable[Item],
    *,
    total: int,
    what: str,
    unit: str,
    count: Callable[[Item], int] = lambda item: 1,
    console: Console | None = None,
) -> Iterator[Item]:
    """Yield ``items`` and show how much of ``total`` is done, how fast, and the time left.

    what, unit: as in "features", "videos". count: the number of units in an item.
    A terminal shows a bar from the beginning, and takes it away after work of less than a second.
    Writes to standard error unless another ``console`` is given.
    """
    began, done = time.monotonic(), 0
    with ProgressLine(console or Console(stderr=True), title=what) as line:
        line.show(rate_text(0, total, unit, 0.0), done=0, total=total)
        for item in items:
            yield item
            done += count(item)
            seconds = time.monotonic() - began
            line.show(rate_text(done, total, unit, seconds), done=done, total=total)
        if time.monotonic() - began < QUIET_SECONDS:
            line.close()


def rate_text(done: int, total: int, unit: str, seconds: float) -> str:
    """Return, after ``seconds`` of work, as in "12/30 videos  4.0 videos/s  5 s left".

    Before the first is done, nobody knows how long it takes: "0/30 videos".
    """
    if not done:
        return f"{done:,}/{total:,} {unit}"
    rate = done / max(seconds, 1e-9)
    left = max(0.0, (total - done) / rate)
    return f"{done:,}/{total:,} {unit}  {rate:,.1f} {unit}/s  {duration(left)} left"


def duration(seconds: float) -> str:
    """Return a time span in a suitable unit, as in "45 s", "12 min" or "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: 1 shard, 2 shards, 2 classes, 2 queries."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("ry"):
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}{'es' if noun.endswith('ss') else 's'}"
