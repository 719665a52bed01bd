"""`tasd app` as a process of its own, and a Chromium to visit it with."""

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import forks

ROOT = Path(__file__).parents[1]


def chromium() -> str | None:
    """The Chromium that is installed, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextlib.contextmanager
def running(
    *words: str | Path, cwd: Path, forked: bool = False
) -> Iterator[tuple[subprocess.Popen[str] | forks.Fork, str]]:
    """Start the page on a free port; yield the process and its address. forked: soon there."""
    own = [sys.executable, "-m", "tasd", "app", "--port", "0", "--device", "cpu"]
    command = [*own, *map(str, words)]
    variables = {"TASD_HOME": str(cwd), "PATH": "/usr/bin:/bin", "TMPDIR": str(cwd)}
    env = {"PYTHONPATH": str(ROOT), **variables}
    with (
        forks.Fork(command, cwd=cwd, env=env, stdout=forks.PIPE)
        if forked
        else subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True)
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://\S+", line)
            assert found, line
            yield process, found[0]
        finally:
            process.kill()
