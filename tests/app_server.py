"""`tasd app` as a process of its own, and a Chromium to visit it with."""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def chromium() -> str | None:
    """The Chromium that is installed, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextlib.contextmanager
def running(*words: str | Path, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the page on a free port; yield the process and its address."""
    command = [sys.executable, "-m", "tasd", "app", "--port", "0", "--device", "cpu"]
    with subprocess.Popen(
        [*command, *map(str, words)],
        cwd=cwd,
        env={
            "PYTHONPATH": str(ROOT),
            "TASD_HOME": str(cwd),
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(cwd),
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://\S+", line)
            assert found, line
            yield process, found[0]
        finally:
            process.kill()
