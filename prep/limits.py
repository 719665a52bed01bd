"""How much the decoding of one video may take."""

from dataclasses import dataclass

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]


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


def limit_process(process: int, *, seconds: float, memory_mib: int) -> None:
    """Hold a process to its share; Linux alone can do that to one that runs already."""
    if resource is None or not hasattr(resource, "prlimit"):
        return
    room = memory_mib << 20
    try:
        # Of processor time as well: it may outlive the one who watches the clock.
        resource.prlimit(process, resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
        resource.prlimit(process, resource.RLIMIT_DATA, (room, room))
        resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))
    except (ProcessLookupError, PermissionError):
        pass  # it has ended already
