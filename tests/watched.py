"""A command and all processes below it, watched: seconds, memory, open files."""

import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVERY = 0.25  # seconds between two looks; a process that lives shorter may not be seen


@dataclass(frozen=True)
class Watched:
    """Measurements of a command.

    seconds: by the clock. cpu: seconds of the processors, of all its processes together. memory:
    the most bytes at once that are theirs alone. mapped: the same with the files that they map,
    among them torch's libraries and the store, which the system may drop. files: the most that
    were open at once in all processes.
    """

    seconds: float
    cpu: float
    memory: int
    mapped: int
    files: int


def watch(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    start: Callable[..., Any] = subprocess.Popen,
) -> Watched:
    """Run a command to its end, its output added to ``log``. Raises where it fails.

    start: as `subprocess.Popen`, or a `tests.forks.Fork`, whose ``cpu`` is not seen.
    """
    before, begun = _spent(), time.monotonic()
    memory = mapped = files = 0
    with log.open("ab") as output:
        process = start(command, env=env, stdout=output.fileno(), stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                seen = [_process(one) for one in _tree(process.pid)]
                memory = max(memory, sum(one[0] for one in seen))
                mapped = max(mapped, sum(one[1] for one in seen))
                files = max(files, sum(one[2] for one in seen))
                time.sleep(EVERY)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        last = "\n".join(log.read_text("utf-8", "replace").splitlines()[-5:])
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{last}")
    return Watched(time.monotonic() - begun, _spent() - before, memory, mapped, files)


def _spent() -> float:
    """Seconds of the processors that all ended children took, and their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(root: int) -> Iterator[int]:
    """Yield a process and all below it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # it has ended
        children.setdefault(parent, []).append(int(folder.name))
    left = [root]
    while left:
        one = left.pop()
        yield one
        left += children.get(one, [])


def _process(number: int) -> tuple[int, int, int]:
    """Bytes of its own, the same with its share of mapped files, and open files."""
    folder = Path("/proc") / str(number)
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()[1:]
        kib = {key: int(rest.split()[0]) for key, _, rest in (one.partition(":") for one in lines)}
        own = kib["Pss"] - kib.get("Pss_File", 0)
        return own * 1024, kib["Pss"] * 1024, len(list((folder / "fd").iterdir()))
    except (OSError, KeyError):
        return 0, 0, 0


def disk(folder: Path) -> int:
    """Return the bytes that a folder takes, each file once, whatever its number of names."""
    seen: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        about = path.lstat()
        seen[about.st_dev, about.st_ino] = 512 * about.st_blocks
    return sum(seen.values())
