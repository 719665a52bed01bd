"""Workers: processes of this machine, or those of a Dask cluster, the same code for both.

Everything goes through `concurrent.futures`. A local worker that is killed takes with it only
the shards that were being written, which are begun anew; workers end with the process that
started them, however that ends.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

from prep.remote import dask_workers
from prep.shard import PrepSettings, ShardJob, ShardReport, write_shard
from tasd.errors import UserError

# A shard whose worker was killed so often will not do better the next time.
MOST_DEATHS = 3

Told = Callable[[int, int], None]  # how many more videos are done, and their bytes

_mouth: Connection | None = None


def write_shards(
    jobs: Sequence[ShardJob],
    recipe: PrepSettings,
    *,
    workers: int,
    scheduler: str | None = None,
    told: Told = lambda videos, size: None,
    say: Callable[[str], None] = lambda line: None,
) -> Generator[ShardReport, None, None]:
    """Write shards side by side, each yielded when it is on the disk, in any order.

    told: hears of videos as they are done; of fewer than none when work was lost.
    say: hears of workers that were killed, or have not come yet.
    Raises `UserError`.
    """
    if not jobs:
        return
    if scheduler is not None:
        yield from _on_cluster(jobs, recipe, scheduler, told, say)
        return
    left = {job.number: job for job in jobs}
    for deaths in range(MOST_DEATHS):
        if not left:
            return
        if deaths:
            say(f"a worker process was killed; begun again: {_listed(left)}")
        unfinished = _Tally(told)
        with (
            _pool(min(workers, len(left)), unfinished) as pool,
            contextlib.suppress(BrokenProcessPool),
        ):
            for report in _completed(pool, _in_worker, list(left.values()), recipe):
                del left[report.number]
                unfinished.forget(report.number)
                yield report
        unfinished.take_back()
    if left:
        raise UserError(
            f"worker processes were killed {MOST_DEATHS} times (is the memory full?) before "
            f"{_listed(left)} could be written; what is finished is kept: run the same command "
            "again, perhaps with fewer --workers"
        )


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _listed(shards: Collection[int]) -> str:
    some = sorted(shards)[:5]
    more = f" and {len(shards) - len(some)} more" if len(shards) > len(some) else ""
    return f"shard {', '.join(map(str, some))}{more}"


def _completed(
    executor: Executor,
    work: Callable[[ShardJob, PrepSettings], ShardReport],
    jobs: Sequence[ShardJob],
    recipe: PrepSettings,
) -> Iterator[ShardReport]:
    """Reports as they come. What is done is reported before what went wrong is raised."""
    waiting: set[Future[ShardReport]] = {executor.submit(work, job, recipe) for job in jobs}
    while waiting:
        finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        failed = [future for future in finished if future.exception() is not None]
        for future in finished:
            if future not in failed:
                yield future.result()
        for future in failed:
            future.result()


@contextlib.contextmanager
def _pool(workers: int, tally: "_Tally") -> Iterator[Executor]:
    """A pool of processes that tell how far they are; ended at once if anything goes wrong."""
    # Fresh interpreters: a forked one would inherit the locks and threads of its parent.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    ear, mouth = context.Pipe(duplex=False)
    with ear, mouth:
        listener = threading.Thread(target=_listen, args=(ear, tally), daemon=True)
        listener.start()
        pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(mouth,))
        try:
            yield pool
            pool.shutdown()
        except BaseException:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            mouth.send_bytes(b"")
            listener.join()


def _begin(mouth: Connection) -> None:
    """The first thing in a worker: Ctrl-C is for its parent, and without it, it ends."""
    global _mouth
    _mouth = mouth
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _in_worker(job: ShardJob, recipe: PrepSettings) -> ShardReport:
    def told(videos: int, size: int) -> None:
        assert _mouth is not None
        # So short a message goes through a pipe in one piece: no lock that a kill could leave.
        _mouth.send_bytes(f"{job.number} {videos} {size}".encode())

    return write_shard(job, recipe, told=told)


class _Tally:
    """What workers have done of shards that are not finished, told on and taken back if lost."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._videos: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()

    def add(self, shard: int, videos: int, size: int) -> None:
        self._videos[shard] += videos
        self._bytes[shard] += size
        self._told(videos, size)

    def forget(self, shard: int) -> None:
        self._videos[shard] = self._bytes[shard] = 0

    def take_back(self) -> None:
        self._told(-self._videos.total(), -self._bytes.total())


def _listen(ear: Connection, tally: _Tally) -> None:
    with contextlib.suppress(EOFError, OSError):
        while message := ear.recv_bytes():
            shard, videos, size = map(int, message.split())
            tally.add(shard, videos, size)


def _on_cluster(
    jobs: Sequence[ShardJob],
    recipe: PrepSettings,
    scheduler: str,
    told: Told,
    say: Callable[[str], None],
) -> Iterator[ShardReport]:
    """The same on the workers of a Dask cluster; a shard counts as done when it is whole."""
    jobs_by_number = {job.number: job for job in jobs}
    with dask_workers(recipe, scheduler, say=say) as workers:
        for report in _completed(workers.executor, workers.work, jobs, recipe):
            videos = jobs_by_number[report.number].videos
            told(len(videos), sum(video.size_bytes for video in videos))
            yield report
