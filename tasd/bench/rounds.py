"""Timing in interleaved rounds, and the tables of the benchmarks.

In a round every way of doing some work is timed once, one after the other, so that whatever else
the machine does slows all of them alike. A time is the median over the rounds, a ratio is the
median of the ratios within a round.
"""

import os
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rich.table import Table

from tasd.progress import track

Way = TypeVar("Way", bound=Hashable)
Measured = TypeVar("Measured")


def usable_cores() -> list[int]:
    """Return the processors that this process may use; ``[0]`` where the system has no list."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The device, the number of rounds and the number of cores of a measurement."""

    device: str
    rounds: int
    cores: int = field(default_factory=lambda: len(usable_cores()))


def interleaved(
    ways: Mapping[Way, Callable[[], Measured]], *, rounds: int, what: str, warm_up: int = 0
) -> dict[Way, list[Measured]]:
    """Measure each way once a round; another way goes first in each round.

    what: for the progress line. warm_up: rounds before the counted ones.
    """
    names, total = list(ways), warm_up + rounds
    order = [names[(r + i) % len(names)] for r in range(total) for i in range(len(names))]
    measured: dict[Way, list[Measured]] = {name: [] for name in names}
    for name in track(order, total=len(order), what=what, unit="runs"):
        measured[name].append(ways[name]())
    return {name: values[warm_up:] for name, values in measured.items()}


def timed(work: Callable[[], object], device: str) -> Callable[[], float]:
    """Return a function that takes the seconds of ``work``, with all that it starts on a GPU."""

    def synchronise() -> None:
        if device.startswith("cuda"):
            import torch  # here, since `tasd bench prep` runs on machines without torch

            torch.cuda.synchronize(device)

    def seconds() -> float:
        synchronise()
        began = time.perf_counter()
        work()
        synchronise()
        return time.perf_counter() - began

    return seconds


def median_ratio(over: Iterable[float], under: Iterable[float]) -> float:
    """Return the median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def table_of(title: str, caption: str, columns: Mapping[str, Sequence[str]]) -> Table:
    """Lay out columns below their headings; those of numbers are aligned at the right."""
    table = Table(title=title, caption=caption, caption_justify="left", min_width=80)
    for heading, cells in columns.items():
        numbers = any(cell[:1].isdigit() for cell in cells)
        table.add_column(heading, justify="right" if numbers else "left")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table
