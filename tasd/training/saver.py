"""The checkpoints of a run, written by a thread while its training goes on.

Each save has a thread of its own. A thread in which torch computed keeps helpers of OpenMP until it
ends, and with more of them than cores all helpers sleep between two operations in place of waiting:
a step of many small operations took half as long again from the first save to the end of the run.
"""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType

from tasd.errors import UserError, UserErrors, told
from tasd.runs.checkpoint import Checkpoint, Progress
from tasd.runs.folder import Run
from tasd.runs.repair import best_before, saved
from tasd.training.plan import TrainingPlan
from tasd.training.snapshot import Snapshot
from tasd.training.state import State, refuse_infinite


class Saver:
    """Saves a run when its plan says so; on the first rank alone.

    with Saver(state, run, plan, writes=True) as save:
        save(now)      # what the state is now is written by a thread
        save.settle()  # before anything but a forward and a backward pass

    A save waits for the one before it. An error of the thread is raised by the next call, at the
    latest at the end of the block, which waits for the last save.
    """

    def __init__(self, state: State, run: Run, plan: TrainingPlan, *, writes: bool) -> None:
        self._state, self._run, self._plan, self._writes = state, run, plan, writes
        self._passing = {f"learner/{name}" for name, _ in state.learner.named_buffers()}
        self._snapshot = Snapshot()
        self._writing: Future[None] | None = None
        self._copied = threading.Event()
        self._copied.set()
        self._last = time.monotonic()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writing is not None:
            wait([self._writing])
        if error is None:
            self.wait()
        late = None if self._writing is None else self._writing.exception()
        also = None if late is None else told(late)
        if isinstance(error, UserError) and also is not None:
            raise UserErrors([error, also]) from None

    def due(self, now: Progress) -> bool:
        """True where last.pt is to be written between validations."""
        return self._plan.save_due(now, seconds=time.monotonic() - self._last)

    def __call__(self, now: Progress, *, better: bool = False, keep: bool = False) -> None:
        """Begin to write last.pt, and the others as `write` says; return before it is there."""
        self.wait()
        self._last = time.monotonic()
        if not self._writes:
            return
        checkpoint = self._state.checkpoint(now)
        try:
            copy = self._snapshot.begin(checkpoint, passing=self._passing)
        except (MemoryError, RuntimeError):  # no memory for a copy: training waits for the file
            write(checkpoint, self._run, better=better, keep=keep)
            return
        self._copied.clear()
        thread = ThreadPoolExecutor(1, thread_name_prefix="tasd-save")
        self._writing = thread.submit(self._write, copy, better=better, keep=keep)
        thread.shutdown(wait=False)  # it ends with the save

    def settle(self) -> None:
        """Wait until the state may change: a save has its copy of it, but need not be written."""
        self._copied.wait()
        if self._writing is not None and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Wait until the save is on the disk. Raises `UserError`, `OSError`."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def validated(self, now: Progress, *, better: bool) -> None:
        """Save after a validation; ``better``: it was the best so far."""
        self(now, better=better, keep=self._plan.keep_due(now))

    def untrained(self, now: Progress, *, better: bool) -> None:
        """Save the network before training, as the best so far or to be kept; else nothing."""
        keep = self._plan.training.checkpoint_every is not None
        if better or keep:
            self(now, better=better, keep=keep)

    def stopped(self, now: Progress) -> None:
        """Save a run that a signal ended, with something to predict with, and wait for it."""
        self.wait()
        self(now, better=not self._run.best.exists())
        self.wait()

    def _write(self, copy: Checkpoint, *, better: bool, keep: bool) -> None:
        try:
            self._snapshot.finish()
        finally:
            self._copied.set()
        write(copy, self._run, better=better, keep=keep)


def write(checkpoint: Checkpoint, run: Run, *, better: bool, keep: bool) -> None:
    """Write last.pt; before it best.pt where this is the best, episode-N.pt where it is kept.

    A kill at any moment leaves a last.pt that speaks of no file that is not there. Raises
    `UserError` where a weight is not finite; nothing is written then.
    """
    refuse_infinite(checkpoint, run)
    number = f"episode-{checkpoint.progress.episode:06d}.pt"
    run.sync_metrics()  # first: no checkpoint is ever ahead of its lines
    if better:
        best_before(run)
        checkpoint.light().save(run.best)
    checkpoint.save(run.last, keep_previous=True, also=[run.checkpoints / number] if keep else [])
    saved(run)
