"""Processes of `python -m tasd` that begin in a fiftieth of a second: `tests/fork_server.py`.

For tests of what a process does: it is killed, stopped, limited, or one of several. Tests of how
a process starts, and of other programs than Python's, use `subprocess`.
"""

import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Self, TextIO

FORKED = Path(__file__).with_name("forked.py")


@functools.cache
def server() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The server of this test process, started at the first request."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as others:
        others.bind(_address())
        others.listen()
        passed = [theirs.fileno(), others.fileno()]
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", *map(str, passed)],
            pass_fds=passed,
            env={**os.environ, **threads},
            stdin=DEVNULL,
            stdout=DEVNULL,
        )
    return started, ours


def close() -> None:
    """End the server of this test process, if it has one."""
    if server.cache_info().currsize:
        started, channel = server()
        channel.close()
        started.wait(60)
        server.cache_clear()
        _folder().cleanup()
        _folder.cache_clear()


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tasd-forks-")


def _address() -> str:
    return os.path.join(_folder().name, "socket")


def asking() -> dict[str, str]:
    """Return what `FORKED`, in the place of Python, needs in its environment."""
    server()
    return {"TASD_TEST_FORKS": _address()}


class Fork:
    """A process of Python, with the methods of `subprocess.Popen` that tests use; text only."""

    def __init__(
        self,
        command: list[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        start_new_session: bool = False,
    ) -> None:
        assert command[0] == sys.executable, "only Python is forked"
        self.args, self.returncode = command, None
        self.stdout, out = _stream(stdout, 1)
        self.stderr, err = (None, out) if stderr == STDOUT else _stream(stderr, 2)
        request = {
            "words": command[1:],
            "env": dict(os.environ if env is None else env),
            "cwd": os.fspath(cwd or os.getcwd()),
            "own_session": start_new_session,
        }
        self._told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open(os.devnull, os.O_RDWR)
        opened = [null, null if out is None else out, null if err is None else err]
        with theirs:
            sent = [*opened, theirs.fileno()]
            socket.send_fds(server()[1], [json.dumps(request).encode()], sent)
        for descriptor in {*opened} - {1, 2}:
            os.close(descriptor)
        self.pid = self._number()

    def _number(self) -> int:
        told = self._told.recv(64)
        assert told, "the server of forks ended"
        return int(told)

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.returncode = self._number()
            self._told.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, or minus the signal that ended the process."""
        if self.returncode is None:
            select.select([self._told], [], [], timeout)
            if self.poll() is None:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str | None, str | None]:
        """Wait for the end and return what it said."""
        end = None if timeout is None else time.monotonic() + timeout
        said: dict[str, str] = {}
        streams = {"stdout": self.stdout, "stderr": self.stderr}
        readers = [
            threading.Thread(target=lambda n=name, s=stream: said.update({n: s.read()}))
            for name, stream in streams.items()
            if stream is not None
        ]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            for reader in readers:
                reader.join(None if end is None else max(end - time.monotonic(), 1))
        self._close()
        return said.get("stdout"), said.get("stderr")

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _close(self) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.wait()


def _stream(kind: int | None, inherited: int) -> tuple[TextIO | None, int | None]:
    """The end that we read, and the descriptor for the process; ``kind`` may be an open file's."""
    if kind == PIPE:
        ours, theirs = os.pipe()
        return open(ours, encoding="utf-8"), theirs
    if kind is not None and kind >= 0:
        return None, os.dup(kind)
    return None, None if kind == DEVNULL else inherited


def run(
    command: list[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command of Python to its end, as `subprocess.run` does with captured output."""
    started = Fork(command, env=env, cwd=cwd, stdout=PIPE, stderr=PIPE)
    said = started.communicate(timeout)
    return subprocess.CompletedProcess(command, started.wait(), *said)
