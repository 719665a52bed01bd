"""The lock of a run: one process writes into its folder."""

import fcntl
import json
import os
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal

from tasd.errors import UserError
from tasd.files import as_json, host, host_tag, is_running, naming

LOCK = ".lock"


class RunLock:
    """Holds a run's lock from `take` to the end of the block; the file names process and host.

    The system frees the lock of a process that is killed. A file system whose locks do not reach
    other hosts is met by the text: a name of another host in it refuses.
    """

    def __init__(self) -> None:
        self._file: int | None = None

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def take(self, folder: Path) -> None:
        """Take the lock of a run in a folder that is there. Raises `UserError`."""
        if self._file is not None:
            return
        path = folder / LOCK
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(
                f"{folder} cannot be written ({error.strerror}); choose another place with --out"
            ) from None
        try:
            self._refuse(folder, path, file, _flocked(file))
        except BaseException:
            os.close(file)
            raise
        self._file = file
        now = datetime.now().isoformat(timespec="seconds")
        owner = {"pid": os.getpid(), "host": host(), "tag": host_tag(), "since": now}
        with naming(path):
            os.ftruncate(file, 0)
            os.pwrite(file, (as_json(owner, ascii=True) + "\n").encode(), 0)
            os.fsync(file)

    def _refuse(self, folder: Path, path: Path, file: int, locked: bool | None) -> None:
        """Raise `UserError` where another process writes. locked: None where nothing locks here."""
        owner = _owner(os.pread(file, 4096, 0))
        pid, of = owner.get("pid"), owner.get("host")
        who = f"process {pid} on {of} since {owner.get('since')}" if owner else "another process"
        if locked is False:
            raise UserError(f"{folder} is being written by {who}; wait until it ends, or stop it")
        if not owner or (of == host() and (locked or not _runs(owner))):
            return  # free, or left by a process that was killed
        if of == host():
            raise UserError(f"{folder} is being written by {who}; wait until it ends, or stop it")
        raise UserError(
            f"{folder} was locked by {who}, and it cannot be seen from {host()} if that process "
            f"still runs; where it does not, delete {path} and try again"
        )


def _flocked(file: int) -> bool | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _owner(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _runs(owner: dict[str, object]) -> bool:
    pid = owner.get("pid")
    return owner.get("tag") == host_tag() and isinstance(pid, int) and is_running(pid)


def writer_of(folder: Path) -> tuple[Literal["none", "alive", "killed", "elsewhere"], str]:
    """Return the state of a run's writer, and who it is; empty where nobody is named.

    killed: its process has gone without giving the lock back. elsewhere: it is, or was, on another
    host. Nothing is written and the lock is not taken.
    """
    try:
        owner = _owner((folder / LOCK).read_bytes()[:4096])
    except OSError:
        return "none", ""
    if not owner:
        return "none", ""
    who = f"process {owner.get('pid')} on {owner.get('host')} since {owner.get('since')}"
    if owner.get("host") != host():
        return "elsewhere", who
    return ("alive" if _runs(owner) else "killed"), who
