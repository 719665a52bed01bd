"""Limits of time, memory and size for decoding one video."""

import contextlib
import os
from dataclasses import dataclass

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

# About the most threads of one ffmpeg that are busy at once.
THREADS = 8


@dataclass(frozen=True)
class Limits:
    """The most that decoding one video may take; past a limit the video counts as unreadable.

    seconds: of waiting, and of processor time; seconds_per_mib is added for each MiB of the file.
    memory_mib: of one ffmpeg process. pixels: of one picture. output_mib: of all chosen frames.
    """

    seconds: float = 60.0
    seconds_per_mib: float = 10.0
    memory_mib: int = 2048
    pixels: int = 8192 * 8192
    output_mib: int = 192

    def exceed(self, others: "Limits") -> bool:
        """True where a video that failed under the others may be readable under these."""
        return self.seconds > others.seconds or self.memory_mib > others.memory_mib


def limit_process(process: int, *, seconds: float, memory_mib: int) -> None:
    """Limit a running process, on Linux; other systems cannot limit one that runs already."""
    if resource is None or not hasattr(resource, "prlimit"):
        return
    memory = memory_mib << 20
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the process has ended
        # Processor time is limited too, because the process that watches the clock may be killed
        # first. Busy threads add up their processor time, hence the factor.
        most = int(seconds * THREADS) + 1
        resource.prlimit(process, resource.RLIMIT_CPU, (most, most + 1))
        resource.prlimit(process, resource.RLIMIT_DATA, (memory, memory))
        resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))
        # The threads wake each other for every frame; batch scheduling avoids needless preemption.
        if os.sched_getscheduler(process) == os.SCHED_OTHER:
            os.sched_setscheduler(process, os.SCHED_BATCH, os.sched_param(0))


def processor_seconds(process: int) -> float:
    """Return the processor time that a running process has used; infinite where unknown."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return float("inf")


def free_mib() -> float:
    """Return the memory that this machine could give a new process; infinite where unknown."""
    try:
        with open("/proc/meminfo", encoding="ascii", errors="replace") as file:
            lines = (line.split() for line in file)
            return next(int(words[1]) for words in lines if words[0] == "MemAvailable:") / 1024
    except (OSError, ValueError, IndexError, StopIteration):
        return float("inf")
