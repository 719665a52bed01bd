"""Workers of a Dask cluster, and the check that they see the same folders."""

import contextlib
import functools
import logging
import platform
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prep.shard import PrepSettings, ShardJob, ShardReport, write_shard
from tasd.errors import UserError

PATIENCE_SECONDS = 30
MARK = ".prep-"
# Loggers of the Dask client and of its event loop.
LOGGERS = ("distributed", "distributed.client", "tornado.application")


@dataclass(frozen=True)
class DaskWorkers:
    """A connected cluster: its executor, and the function that a worker runs for each shard."""

    executor: Executor
    work: Callable[[ShardJob, PrepSettings], ShardReport]


@contextlib.contextmanager
def dask_workers(
    settings: PrepSettings, scheduler: str, *, say: Callable[[str], None]
) -> Iterator[DaskWorkers]:
    """Connect to a scheduler, by its address or its scheduler file.

    say: called with a line where there are no workers yet. Raises `UserError`, also where the
    scheduler or the workers fail within the block.
    """
    client = connect(scheduler)
    from distributed import KilledWorker

    with quiet(), client, marked(settings.store, MARK) as mark:
        if not client.scheduler_info()["workers"]:
            say(f"the scheduler at {scheduler} has no workers yet; waiting for them")
        executor = client.get_executor(pure=False)
        try:
            yield DaskWorkers(executor, functools.partial(_write_shard_remotely, mark=mark))
        except KilledWorker as error:
            raise UserError(
                f"several Dask workers were killed by the same shard, the last at "
                f"{error.last_worker.address} (see its log; is the memory full?); finished shards "
                "are kept: run the same command again"
            ) from None
        except CancelledError:
            raise UserError(
                f"the Dask scheduler at {scheduler} has ended; finished shards are kept: start it "
                "again and run the same command again"
            ) from None
        finally:
            executor.shutdown(wait=False)


def connect(scheduler: str) -> Any:
    """Return a Dask client of a scheduler, by its address or its scheduler file.

    Raises `UserError` where none answers, or Dask is not installed.
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise UserError("--scheduler needs Dask; install the extra: tasd[cluster]") from None
    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        # A client that could not begin to connect waits a minute at its end and prints a traceback.
        if "address" in where:
            get_address_host_port(scheduler)
        make: Callable[..., Any] = Client
        return make(**where, timeout=PATIENCE_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(f"no Dask scheduler answers at {scheduler!r} ({error})") from None


@contextlib.contextmanager
def marked(folder: Path, prefix: str) -> Iterator[Path]:
    """Make a file of random name in a folder; workers that see it see the same folder."""
    for old in folder.glob(f"{prefix}*"):
        old.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(prefix=prefix, dir=folder) as file:
        yield Path(file.name)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Mute the loggers of Dask: its errors arrive as exceptions."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write_shard_remotely(job: ShardJob, settings: PrepSettings, *, mark: Path) -> ShardReport:
    """Write a shard on a worker, which first checks that it sees the store and the videos."""
    host = platform.node()
    if not mark.exists():
        raise UserError(
            f"{host} sees another folder as {settings.store}, or none; all workers must see "
            "the same"
        )
    # The frames of members of archives wait in the store.
    if not any(v.member or (settings.root / v.path).exists() for v in job.videos):
        raise UserError(
            f"{host} sees none of the {len(job.videos)} videos of shard {job.number} below "
            f"{settings.root}; all workers must see the same"
        )
    return write_shard(job, settings)
