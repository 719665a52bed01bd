"""How much the decoding of one video may take."""

import contextlib
import os
from dataclasses import dataclass

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

# At most so many threads of one ffmpeg are busy at once, near enough.
THREADS = 8


@dataclass(frozen=True)
class Limits:
    """What the decoding of one video may take before it is given up.

    seconds: of waiting, and of processor time, plus seconds_per_mib for each MiB of the file.
    memory_mib: of one ffmpeg process. pixels: of one picture. output_mib: of chosen frames.
    """

    seconds: float = 60.0
    seconds_per_mib: float = 10.0
    memory_mib: int = 2048
    pixels: int = 8192 * 8192
    output_mib: int = 192

    def exceed(self, others: "Limits") -> bool:
        """Whether a video that was given up under others may do better under these."""
        return self.seconds > others.seconds or self.memory_mib > others.memory_mib


def limit_process(process: int, *, seconds: float, memory_mib: int) -> None:
    """Hold a process to its share; Linux alone can do that to one that runs already."""
    if resource is None or not hasattr(resource, "prlimit"):
        return
    room = memory_mib << 20
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended already
        # Of processor time as well: it may outlive the one who watches the clock. Its threads
        # together use that up faster than the clock runs.
        most = int(seconds * THREADS) + 1
        resource.prlimit(process, resource.RLIMIT_CPU, (most, most + 1))
        resource.prlimit(process, resource.RLIMIT_DATA, (room, room))
        resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))
        # Its many threads wake each other for every frame; they need not push each other aside.
        if os.sched_getscheduler(process) == os.SCHED_OTHER:
            os.sched_setscheduler(process, os.SCHED_BATCH, os.sched_param(0))
