"""A lock, so that only one prep at a time writes to a store."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tasd.errors import UserError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a store; the system releases it when the process ends for any reason.

    Raises `UserError` while another prep holds it.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(handle, folder)
        yield
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 100, 0).decode(errors="replace").strip() or "another process"
        raise UserError(
            f"{holder} is preparing the store {folder} right now; wait until it has finished, "
            "or name another folder with --store"
        ) from None
    except OSError:
        return  # the file system has no locks
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} of {os.uname().nodename}\n".encode(), 0)
