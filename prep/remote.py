"""The workers of a Dask cluster: machines that must see the same folders, and may not."""

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
# Of the client, and of what it runs on.
LOGGERS = ("distributed", "distributed.client", "tornado.application")


@dataclass(frozen=True)
class DaskWorkers:
    """executor: hands work to the workers. work: what each is to do with a shard."""

    executor: Executor
    work: Callable[[ShardJob, PrepSettings], ShardReport]


@contextlib.contextmanager
def dask_workers(
    recipe: PrepSettings, scheduler: str, *, say: Callable[[str], None]
) -> Iterator[DaskWorkers]:
    """The workers of the scheduler at this address, or that this file names.

    say: hears that there are no workers yet. Raises `UserError`, also for what happens to the
    cluster while it works.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UserError("--scheduler needs Dask; install the extra: tasd[cluster]") from None
    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        make: Callable[..., Any] = Client
        client = make(**where, timeout=PATIENCE_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(f"no Dask scheduler answers at {scheduler!r} ({error})") from None
    with _quiet(), client, _marked(recipe.store) as mark:
        if not client.scheduler_info()["workers"]:
            say(f"the scheduler at {scheduler} has no workers yet; waiting for them")
        executor = client.get_executor(pure=False)
        try:
            yield DaskWorkers(executor, functools.partial(_write_shard_there, mark=mark))
        except KilledWorker as error:
            raise UserError(
                f"one Dask worker after the other was killed by the same shard, the last at "
                f"{error.last_worker.address} (its log may tell why; is the memory full?); what is "
                "finished is kept: run the same command again"
            ) from None
        except CancelledError:
            raise UserError(
                f"the Dask scheduler at {scheduler} has ended; what is finished is kept: start it "
                "anew and run the same command again"
            ) from None
        finally:
            executor.shutdown(wait=False)


@contextlib.contextmanager
def _marked(store: Path) -> Iterator[Path]:
    """A file of a name that nobody could know: who sees it sees this very folder."""
    for left in store.glob(f"{MARK}*"):
        left.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(prefix=MARK, dir=store) as file:
        yield Path(file.name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What goes wrong is told by exceptions: the client need not log it a second time."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write_shard_there(job: ShardJob, recipe: PrepSettings, *, mark: Path) -> ShardReport:
    """Write a shard on a machine that need not see the folders of the one that asks for it."""
    host = platform.node()
    if not mark.exists():
        raise UserError(
            f"{host} sees another folder as {recipe.store}, or none; all workers must see the same"
        )
    if not any((recipe.root / video.path).exists() for video in job.videos):
        raise UserError(
            f"{host} sees none of the {len(job.videos)} videos of shard {job.number} below "
            f"{recipe.root}; all workers must see the same"
        )
    return write_shard(job, recipe)
