"""Workers that write shards: processes of this machine, or those of a Dask cluster.

Both are driven through `concurrent.futures`. Where a local worker is killed, only the shards that
were being written are lost, and they are started again. Workers end when the process that started
them ends, for whatever reason.
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
from multiprocessing.context import BaseContext

from prep.remote import dask_workers
from prep.shard import PrepSettings, ShardJob, ShardReport, write_shard
from tasd.errors import UserError

# After so many attempts that ended with a killed worker, another one is unlikely to succeed.
MOST_ATTEMPTS = 3

# Fresh interpreters, because a forked one would inherit the locks of its parent.
CONTEXT: BaseContext = multiprocessing.get_context("spawn")

OnProgress = Callable[[int, int], None]  # number of newly finished videos, and their bytes

_sender: Connection | None = None  # in a worker: to the process that started it


def write_shards(
    jobs: Sequence[ShardJob],
    settings: PrepSettings,
    *,
    workers: int,
    scheduler: str | None = None,
    on_progress: OnProgress = lambda videos, size: None,
    say: Callable[[str], None] = lambda line: None,
) -> Generator[ShardReport, None, None]:
    """Write shards in parallel and yield the report of each when it is on the disk, in any order.

    on_progress: called as videos are finished; with negative numbers where work was lost.
    say: called with a line about killed workers, or workers that are waited for.
    Raises `UserError`.
    """
    if not jobs:
        return
    if scheduler is not None:
        yield from _on_cluster(jobs, settings, scheduler, on_progress, say)
        return
    left = {job.number: job for job in jobs}
    for attempt in range(MOST_ATTEMPTS):
        if not left:
            return
        if attempt:
            say(f"a worker process was killed; starting again: {_shard_list(left)}")
        unfinished = Tally(on_progress)
        with (
            worker_pool(min(workers, len(left)), unfinished) as pool,
            contextlib.suppress(BrokenProcessPool),
        ):
            for report in _reports(pool, _in_worker, list(left.values()), settings):
                del left[report.number]
                unfinished.forget(report.number)
                yield report
        unfinished.take_back()
    if left:
        raise UserError(
            f"worker processes were killed {MOST_ATTEMPTS} times (is the memory full?) before "
            f"{_shard_list(left)} could be written; finished shards are kept: run the same command "
            "again, perhaps with fewer --workers"
        )


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shard_list(shards: Collection[int]) -> str:
    some = sorted(shards)[:5]
    more = f" and {len(shards) - len(some)} more" if len(shards) > len(some) else ""
    return f"shard {', '.join(map(str, some))}{more}"


def _reports(
    executor: Executor,
    work: Callable[[ShardJob, PrepSettings], ShardReport],
    jobs: Sequence[ShardJob],
    settings: PrepSettings,
) -> Iterator[ShardReport]:
    """Yield reports as shards are finished; all finished ones come before an error is raised."""
    waiting: set[Future[ShardReport]] = {executor.submit(work, job, settings) for job in jobs}
    while waiting:
        finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        failed = [future for future in finished if future.exception() is not None]
        for future in finished:
            if future not in failed:
                yield future.result()
        for future in failed:
            future.result()


@contextlib.contextmanager
def worker_pool(workers: int, tally: "Tally") -> Iterator[Executor]:
    """Run a pool of processes that report progress; end them at once on any error."""
    earlier = set(multiprocessing.active_children())
    receiver, sender = CONTEXT.Pipe(duplex=False)
    with receiver, sender:
        thread = threading.Thread(target=_receive, args=(receiver, tally), daemon=True)
        thread.start()
        pool = ProcessPoolExecutor(workers, CONTEXT, initializer=_set_up_worker, initargs=(sender,))
        try:
            yield pool
            pool.shutdown()
        except BaseException:
            for child in set(multiprocessing.active_children()) - earlier:
                child.terminate()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            sender.send_bytes(b"")
            thread.join()


def _set_up_worker(sender: Connection) -> None:
    """Set up a worker: it ignores Ctrl-C, which its parent handles, and ends with its parent."""
    global _sender
    _sender = sender
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _in_worker(job: ShardJob, settings: PrepSettings) -> ShardReport:
    def send_progress(videos: int, size: int) -> None:
        assert _sender is not None
        # A message this short passes through a pipe in one piece, so that no lock is needed, which
        # a killed worker could leave locked.
        _sender.send_bytes(f"{job.number} {videos} {size}".encode())

    return write_shard(job, settings, on_progress=send_progress)


class Tally:
    """Progress within unfinished shards: passed on at once, taken back where a shard is lost."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._videos: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()

    def add(self, shard: int, videos: int, size: int) -> None:
        """Count videos of a shard."""
        self._videos[shard] += videos
        self._bytes[shard] += size
        self._on_progress(videos, size)

    def forget(self, shard: int) -> None:
        """Count no longer what belongs to a finished shard."""
        self._videos[shard] = self._bytes[shard] = 0

    def take_back(self) -> None:
        """Report the videos of unfinished shards as lost."""
        self._on_progress(-self._videos.total(), -self._bytes.total())


def _receive(receiver: Connection, tally: Tally) -> None:
    with contextlib.suppress(EOFError, OSError):
        while message := receiver.recv_bytes():
            shard, videos, size = map(int, message.split())
            tally.add(shard, videos, size)


def _on_cluster(
    jobs: Sequence[ShardJob],
    settings: PrepSettings,
    scheduler: str,
    on_progress: OnProgress,
    say: Callable[[str], None],
) -> Iterator[ShardReport]:
    """Write shards on a Dask cluster; progress is counted in whole shards."""
    jobs_by_number = {job.number: job for job in jobs}
    with dask_workers(settings, scheduler, say=say) as workers:
        for report in _reports(workers.executor, workers.work, jobs, settings):
            videos = jobs_by_number[report.number].videos
            fresh = [video for video in videos if video.member is None]  # members are counted here
            on_progress(len(fresh), sum(video.size_bytes for video in fresh))
            yield report
