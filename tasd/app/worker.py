"""One thread that does jobs in order, so that the network runs once at a time."""

import contextlib
import queue
import sys
import threading
from collections.abc import Callable

from tasd.errors import UserError

MOST_WAITING = 1000
Job = Callable[[], None]


class Worker:
    """A thread with a bounded queue of jobs."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._left, self._lock = 0, threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="tasd-app-worker", daemon=True)
        self._thread.start()

    @property
    def left(self) -> int:
        """The number of jobs that wait or run."""
        return self._left

    def check(self) -> None:
        """Raise `UserError` where no further job is taken now."""
        if self._left >= MOST_WAITING:
            raise UserError(f"{self._left} clips wait already; come back when some are done")

    def add(self, job: Job) -> None:
        """Do a job after those that wait. Raises `UserError` where too many do."""
        self.check()
        with self._lock:
            self._left += 1
        self._jobs.put(job)

    def close(self, seconds: float = 5.0) -> None:
        """Drop the jobs that wait, and wait for the one that runs."""
        self._stopped = True
        self._jobs.put(None)
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join(seconds)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stopped:
            try:
                job()
            except Exception as error:  # the other jobs go on
                print(f"tasd: a clip was given up: {error!r}", file=sys.stderr)
            finally:
                with self._lock:
                    self._left -= 1
