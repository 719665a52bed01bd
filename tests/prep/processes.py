"""A prep in a process group of its own, which tests kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.forks import Fork

# Processes that a shell starts in the background ignore Ctrl-C, and pass that on.
PREP = (
    "import signal, typer; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from tasd.cli.prep import prep; typer.run(prep)"
)
# Shards of ten videos each.
SETTINGS = ("--frames", "32", "--size", "128", "--shard-mib", "1", "--workers", "2")


def start_prep(root: Path, store: Path, *more: str) -> Fork:
    """Start a prep in a process group of its own."""
    command = [sys.executable, "-c", PREP, "folder", "--root", str(root), "--store", str(store)]
    return Fork(
        [*command, *SETTINGS, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def kill_group(process: Fork | subprocess.Popen[str]) -> bool:
    """Kill a prep and all processes that it started; False where it has ended by itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False
    finally:
        process.communicate()


def children(process: int) -> dict[int, str]:
    """Find the child processes of a process, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process:
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):
            continue  # the process has ended
    return found


def wait_for(condition: object, seconds: float = 150.0) -> object:
    """Wait until a condition is true, and return its value. Fails after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()  # type: ignore[operator]
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"the condition was not true within {seconds} seconds")


def group_is_gone(process: int) -> bool:
    """True where no process of a group is left."""
    try:
        os.killpg(process, 0)
    except ProcessLookupError:
        return True
    return False
