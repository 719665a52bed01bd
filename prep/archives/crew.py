"""Worker processes that decode members as they pass, a bounded number at a time."""

import contextlib
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from prep.archives.spool import Copy
from prep.archives.waiting import Source, write_waiting
from prep.cluster import MOST_ATTEMPTS, OnProgress, Tally, worker_pool
from prep.decode import Decoder
from prep.ffmpeg_process import ffmpeg_here
from prep.shard import MOST_BYTES_TOGETHER, MOST_TOGETHER, PrepSettings
from tasd.errors import UserError

GROUPS_A_WORKER = 2  # one that is decoded and one that waits for its turn


@dataclass(frozen=True)
class Task:
    """A copy of a member to decode, and the place where its frames will wait."""

    copy: Copy
    target: Path


def decode_group(tasks: tuple[Task, ...], settings: PrepSettings) -> None:
    """Decode copies of members, write their frames, and remove the copies."""
    decoder = Decoder(ffmpeg_here(settings.tool), settings.frame_settings, settings.limits)
    clips = decoder.decode([task.copy.path for task in tasks])
    for task, clip in zip(tasks, clips, strict=True):
        source = Source(task.copy.size_bytes, task.copy.sha256)
        write_waiting(task.target, clip, source, settings.limits)
        task.copy.path.unlink()


class Crew:
    """A pool of workers for the members of archives; short ones share a process.

    `take` waits while all workers are busy, so that few copies exist at a time.
    """

    def __init__(
        self,
        settings: PrepSettings,
        workers: int,
        *,
        on_progress: OnProgress,
        say: Callable[[str], None],
    ) -> None:
        self._settings, self._workers = settings, workers
        self._on_progress, self._say = on_progress, say
        self._group: list[Task] = []
        self._busy: dict[Future[None], tuple[Task, ...]] = {}
        self._open = contextlib.ExitStack()
        self._pool: Executor | None = None
        self._attempts = 1

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def take(self, task: Task) -> None:
        """Decode a copy of a member, with its neighbours where they are short."""
        size = task.copy.size_bytes + sum(other.copy.size_bytes for other in self._group)
        if len(self._group) == MOST_TOGETHER or size > MOST_BYTES_TOGETHER:
            self._send()
        self._group.append(task)

    def finish(self) -> None:
        """Wait until everything is decoded. Raises `UserError` where workers are killed."""
        self._send()
        while self._busy:
            self._collect()

    def _send(self) -> None:
        while len(self._busy) >= GROUPS_A_WORKER * self._workers:
            self._collect()
        if self._group:
            group, self._group = tuple(self._group), []
            self._submit([group])

    def _submit(self, groups: list[tuple[Task, ...]]) -> None:
        try:
            while groups:
                if self._pool is None:
                    tally = Tally(lambda videos, size: None)
                    self._pool = self._open.enter_context(worker_pool(self._workers, tally))
                future = self._pool.submit(decode_group, groups[0], self._settings)
                self._busy[future] = groups.pop(0)
        except BrokenProcessPool:
            self._start_again(groups)

    def _collect(self) -> None:
        finished, _ = wait(self._busy, return_when=FIRST_COMPLETED)
        for future in finished:
            try:
                future.result()
            except BrokenProcessPool:
                self._start_again([])
                return
            tasks = self._busy.pop(future)
            self._on_progress(len(tasks), sum(task.copy.size_bytes for task in tasks))

    def _start_again(self, groups: list[tuple[Task, ...]]) -> None:
        """Give what a killed worker left to new workers; its copies are there still."""
        if self._attempts == MOST_ATTEMPTS:
            raise UserError(
                f"worker processes were killed {MOST_ATTEMPTS} times (is the memory full?); videos "
                "that are finished are kept: run the same command again, perhaps with fewer "
                "--workers"
            )
        self._attempts += 1
        self._say("a worker process was killed; starting again")
        left = [*self._busy.values(), *groups]
        self._busy.clear()
        self._pool = None
        self._open.close()
        self._submit([tuple(t for t in group if t.copy.path.exists()) for group in left])
