"""A Python that has imported torch and most of `tasd`, and forks at request.

``python -m tests.fork_server CHANNEL OTHERS``, the descriptors of two sockets. Each message on the
first is a command line of Python (``-m module`` or ``-c program``), its environment and its folder,
with four descriptors: its standard streams and a socket that is told its process number and, at its
end, its exit code. Programs that start Python themselves connect to the second, by
`tests/forked.py`. A fork costs a fortieth of a start of Python with torch; what runs in it is a
process like any other.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import traceback
from typing import NamedTuple, NoReturn

LIBC, PR_SET_PDEATHSIG = ctypes.CDLL(None), 1
OPTIONAL = ("distributed.cli.dask_scheduler", "distributed.cli.dask_worker", "nvidia.dali")
NEEDED = (
    "matplotlib.backends.backend_agg",
    "tasd.cli.app",
    "tasd.cli.train",
    "tasd.evaluation.evaluate",
    "tasd.report",
    "tasd.training.loop",
    "tests.narrow",
    "torch.utils.tensorboard",
    "torchvision.models",
)


class Request(NamedTuple):
    """What a fork shall run, as `subprocess.Popen` has it."""

    words: list[str]
    env: dict[str, str]
    cwd: str
    own_session: bool


class Served:
    """The forks that run, by process number, and how their end is noticed."""

    def __init__(self) -> None:
        self.told: dict[int, socket.socket] = {}
        self.woken, self._wake = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def reap(self) -> None:
        """Tell the exit codes of the forks that ended."""
        os.read(self.woken, 4096)
        while self.told:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            with self.told.pop(pid) as caller:
                send(caller, os.waitstatus_to_exitcode(status))

    def leave(self) -> None:
        """Forget all this in a fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for caller in self.told.values():
            caller.close()
        os.close(self.woken)
        os.close(self._wake)


def send(caller: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # who asked may be gone
        caller.send(str(number).encode())


def serve(channel: socket.socket, others: socket.socket) -> Request | None:
    """Fork for each message; return its request in the fork, and None in the parent at the end.

    others: where those connect that have no channel; each connection is told of its one fork.
    """
    served = Served()
    while True:
        ready, _, _ = select.select([channel, others, served.woken], [], [])
        if served.woken in ready:
            served.reap()
        asking = [channel] if channel in ready else []
        asking += [others.accept()[0]] if others in ready else []
        for asked in asking:
            message, descriptors, _, _ = socket.recv_fds(asked, 1 << 20, 4)
            if not message and asked is channel:
                return None
            if not message:
                continue
            told = socket.socket(fileno=descriptors.pop()) if asked is channel else asked
            pid = os.fork()
            if not pid:
                served.leave()
                for ours in (channel, others, told):
                    ours.close()
                return begin(Request(**json.loads(message)), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            served.told[pid] = told
            send(told, pid)


def begin(request: Request, descriptors: list[int]) -> Request:
    """Make this fork look like a process that was started for the request.

    It ends with the server, and so with the tests, also where those are killed.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if request.own_session:
        os.setsid()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.cwd)
    sys.path[0] = request.cwd
    tempfile.tempdir = None  # of the new environment, not of ours
    return request


def load() -> None:
    """Import what takes a fork longer than the little that it has to do."""
    for name in OPTIONAL:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in NEEDED:
        importlib.import_module(name)
    if os.path.isdir("/proc/self/task"):
        assert len(os.listdir("/proc/self/task")) == 1, "a fork would lack the other threads"


def run(words: list[str]) -> None:
    """Run a command line of Python, without its first word."""
    kind, what, *rest = words
    sys.argv = [what if kind == "-m" else kind, *rest]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        assert kind == "-c", words
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


def end_with(words: list[str]) -> NoReturn:
    """Run, and end without taking all modules apart, which costs more than a fork."""
    code: object = 1
    try:
        run(words)
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    load()
    gc.freeze()  # else the first collection in a fork would copy all pages
    request = serve(*(socket.socket(fileno=int(number)) for number in sys.argv[1:]))
    if request is not None:
        end_with(request.words)
