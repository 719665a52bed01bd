"""How far something long has come: a live bar on a terminal, elsewhere a plain line at times."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

Item = TypeVar("Item")
QUIET_SECONDS = 1.0  # what is over sooner is not spoken of
SECONDS_BETWEEN_LINES = 15.0


def track(
    items: Iterable[Item],
    *,
    total: int,
    what: str,
    unit: str,
    count: Callable[[Item], int] = lambda item: 1,
    console: Console | None = None,
) -> Iterator[Item]:
    """Pass ``items`` on, telling how much of ``total`` is done, how fast, how long it will take.

    what, unit: as in "features", "videos". count: how many units an item is.
    Speaks on standard error.
    """
    console = console or Console(stderr=True)
    began = spoken = time.monotonic()
    columns = TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[text]}")
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar: TaskID | None = None
        done = 0
        for item in items:
            yield item
            done += count(item)
            now = time.monotonic()
            if now - began < QUIET_SECONDS:
                continue
            text = _text(done, total, unit, now - began)
            if bar is None:
                bar = progress.add_task(what, total=total, text=text)
            progress.update(bar, completed=done, text=text)
            if not console.is_terminal and now - spoken > SECONDS_BETWEEN_LINES:
                spoken = now
                console.print(f"{what}: {text}", highlight=False, soft_wrap=True)


def _text(done: int, total: int, unit: str, seconds: float) -> str:
    rate = done / seconds
    left = max(0.0, (total - done) / rate)
    return f"{done:,}/{total:,} {unit}  {rate:,.1f} {unit}/s  {_span(left)} left"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def duration(seconds: float) -> str:
    """A time span as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
