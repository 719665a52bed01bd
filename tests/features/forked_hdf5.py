"""The process in which HDF5 opens a file, forked and not started: a tenth of its time.

For campaigns of thousands of files. It has the same limits; that of memory is beside what this
process has mapped already.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from tasd.features import hdf5


class ForkedHdf5(subprocess.Popen):
    """In place of `subprocess.Popen` in `tasd.features.opening`."""

    returncode = None

    def __init__(
        self, words: Sequence[str], *, stdin: BinaryIO, stdout: BinaryIO, stderr: int, env: object
    ) -> None:
        assert stderr == subprocess.PIPE
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        self._errors, there = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            code = 99
            try:
                for number, file in enumerate((stdin.fileno(), stdout.fileno(), there)):
                    os.dup2(file, number)
                sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
                code = hdf5.main(int(words[3]), int(words[4]) + mapped)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        os.close(there)

    def communicate(self, timeout: float) -> tuple[bytes, bytes]:
        """Wait for its end, and return nothing and its errors."""
        end = time.monotonic() + timeout
        while self.returncode is None:
            self._wait(os.WNOHANG)
            if self.returncode is None:
                if time.monotonic() > end:
                    raise subprocess.TimeoutExpired("hdf5", timeout)
                time.sleep(0.001)
        return b"", os.read(self._errors, 1 << 16)

    def kill(self) -> None:
        """End it."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def _wait(self, options: int) -> None:
        found, status = os.waitpid(self.pid, options)
        if found:
            self.returncode = os.waitstatus_to_exitcode(status)

    def __enter__(self) -> "ForkedHdf5":
        return self

    def __exit__(self, *error: object) -> None:
        if self.returncode is None:
            self._wait(0)
        os.close(self._errors)


@contextmanager
def forked_hdf5() -> Iterator[None]:
    """Within the block HDF5 opens files of others in forks of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", ForkedHdf5)
        yield
