"""Commands in processes that are forked from one that has imported everything, and killed.

A fork costs a hundredth of a start of Python with torch. What a command imports besides, matplotlib
for one, the parent imports after its undisturbed run. It takes no step of training itself: autograd
does not stand a fork behind one.
"""

import contextlib
import importlib
import json
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Calls that give or take the name of a file, or flush it.
NAMING = ("replace", "rename", "link", "unlink", "mkdir", "fsync")


@dataclass(frozen=True)
class Death:
    """Where a process is killed: after so many seconds of processor time, or at a naming call.

    call: the number of the call; after: behind it and not before.
    """

    seconds: float | None = None
    call: int | None = None
    after: bool = False


@dataclass(frozen=True)
class Length:
    """Seconds of processor time and naming calls of a command that is not killed."""

    seconds: float
    calls: int

    def death(self, draw: random.Random, *, naming: bool) -> Death:
        """Draw a moment, or a naming call, within the command."""
        if naming:
            return Death(call=draw.randrange(self.calls), after=draw.random() < 0.5)
        return Death(seconds=draw.uniform(0, self.seconds))


def measured(words: Sequence[object], log: Path) -> Length:
    """Run a command to its end, which must be a good one, and return its length."""
    before, count = _used(), log.with_suffix(".count")
    assert wait(start(words, log, count=count)) == 0, log.read_text()
    return Length(seconds=_used() - before, calls=int(json.loads(count.read_text())["calls"]))


def warm(words: Sequence[object], log: Path) -> None:
    """Run a command, and import into this process what it imports, so that no fork has to."""
    count = log.with_suffix(".count")
    assert wait(start(words, log, count=count)) == 0, log.read_text()
    for name in json.loads(count.read_text())["modules"]:
        if name not in sys.modules:
            with contextlib.suppress(Exception):  # some parts of packages import in one order only
                importlib.import_module(name)


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start(
    words: Sequence[object], log: Path, death: Death | None = None, *, count: Path | None = None
) -> int:
    """Start ``tasd WORDS`` in a fork, which writes to ``log``, and return its process number.

    count: a file that gets the number of naming calls, and the names of all modules.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        if death is not None and death.seconds is not None:
            # The kernel ends the process at whatever instruction it is; no Python runs then.
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, max(death.seconds, 1e-4))
        calls = _counted(death or Death())
        code = _run([str(word) for word in words])
        if count is not None:
            count.write_text(json.dumps({"calls": len(calls), "modules": [*sys.modules]}))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise AssertionError


def wait(pid: int) -> int:
    """Return the exit code, or minus the signal that ended the process."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def tasd(words: Sequence[object], log: Path, death: Death | None = None) -> int:
    """Run ``tasd WORDS`` in a fork to its end."""
    return wait(start(words, log, death))


def _run(words: list[str]) -> int:
    sys.argv = ["tasd", *words]
    from tasd.__main__ import main

    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _counted(death: Death) -> list[str]:
    """Note all naming calls of this process from now on, and die at the one of ``death``."""
    calls: list[str] = []

    def dying(name: str, original: Callable[..., object]) -> Callable[..., object]:
        def changed(*words: object, **options: object) -> object:
            here = len(calls) == death.call
            calls.append(name)
            if here and not death.after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*words, **options)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return changed

    for name in NAMING:
        setattr(os, name, dying(name, getattr(os, name)))
    return calls


def said_nothing_bad(log: Path) -> bool:
    """True where no process wrote a traceback to the log."""
    return "Traceback" not in log.read_text(errors="replace")
