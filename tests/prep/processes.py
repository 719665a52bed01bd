"""Running prep as a person would, in a process of its own, to be killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# What a shell starts in the background ignores Ctrl-C, and so would all that it starts.
PREP = (
    "import signal, typer; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from tasd.cli.prep import prep; typer.run(prep)"
)
# Some ten shards of ten videos each.
SETTINGS = ("--frames", "32", "--size", "128", "--shard-mib", "1", "--workers", "2")


def start_prep(root: Path, store: Path, *more: str) -> subprocess.Popen[str]:
    """Begin a prep in a process group of its own."""
    command = [sys.executable, "-c", PREP, "folder", "--root", str(root), "--store", str(store)]
    return subprocess.Popen(
        [*command, *SETTINGS, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_group(process: subprocess.Popen[str]) -> None:
    """End a prep and everything it started, as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def children(process: int) -> dict[int, str]:
    """The processes that a process started, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process:
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return found


def wait_for(condition: object, seconds: float = 150.0) -> object:
    """The first true answer of a function, which must come in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()  # type: ignore[operator]
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def group_is_gone(process: int) -> bool:
    """Whether nothing is left of a process group."""
    try:
        os.killpg(process, 0)
    except ProcessLookupError:
        return True
    return False
