"""Seconds of work: by the clock, and of the processors."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Seconds:
    """A time span: seconds by the clock, and of all processors together in this process."""

    clock: float = 0.0
    processors: float = 0.0

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.clock + other.clock, self.processors + other.processors)

    def __sub__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.clock - other.clock, self.processors - other.processors)

    def __mul__(self, factor: float | int) -> "Seconds":
        return Seconds(self.clock * factor, self.processors * factor)


class Clock:
    """Times one piece of work after the other."""

    def __init__(self) -> None:
        self._before = _now()

    def lap(self) -> Seconds:
        """Return the time since the last lap, or since the beginning."""
        before, self._before = self._before, _now()
        return self._before - before


def _now() -> Seconds:
    return Seconds(time.monotonic(), time.process_time())
