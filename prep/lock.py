"""A lock, so that only one process at a time writes to a store, or to the folder of a demo."""

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
def locked(
    folder: Path, *, doing: str = "preparing the store", option: str = "--store"
) -> Iterator[None]:
    """Hold the lock of a folder; the system releases it when the process ends for any reason.

    doing, option: the words of the message, and the option that names another folder.

    Raises `UserError` while another process holds it.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(handle, f"{doing} {folder}", option)
        yield
    finally:
        os.close(handle)


def _take(handle: int, doing: str, option: str) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 100, 0).decode(errors="replace").strip() or "another process"
        raise UserError(
            f"{holder} is {doing} right now; wait until it has finished, or name another folder "
            f"with {option}"
        ) from None
    except OSError:
        return  # the file system has no locks
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} of {os.uname().nodename}\n".encode(), 0)
