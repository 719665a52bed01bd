"""Feature files that are computed once and used again, by several processes at a time."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tasd.errors import UserError
from tasd.features.reader import open_features
from tasd.features.store import FeatureStore
from tasd.foreign import remark


def cached(path: Path, key: Mapping[str, Any], compute: Callable[[], FeatureStore]) -> FeatureStore:
    """Return the features in ``path``, or those of ``compute``, which writes them there.

    key: the attributes that the file must have. One that is damaged, without a seal or of another
    key is computed again, which is said in one line. Of several processes that need the same file
    one computes it and the others wait. Raises `UserError`.
    """
    if path.exists() and not isinstance(found := _read(path, key), UserError):
        return found
    with _alone(path):
        if path.exists():  # from another process, or damaged
            found = _read(path, key)
            if not isinstance(found, UserError):
                return found
            remark(f"{str(found).rpartition('; ')[0]}; its features are computed again")
        return compute()


def _read(path: Path, key: Mapping[str, Any]) -> FeatureStore | UserError:
    try:
        found = open_features(path, own=True)
    except UserError as error:
        return error
    other = [name for name, value in key.items() if found.about.get(name) != value]
    if other:
        return UserError(f"{path} is damaged (its {other[0]} is of other features); write it again")
    return found


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of ``path``, and wait for the process that holds it.

    The system releases the lock of a process that ended. Where the file system has no locks,
    nothing waits: a file is written under a name of its own and renamed.
    """
    lock = path.with_name(f".{path.name}.lock")
    held = _locked(lock)
    try:
        yield
    finally:
        if held is not None:
            lock.unlink(missing_ok=True)
            os.close(held)


def _locked(lock: Path) -> int | None:
    """Return the descriptor of the lock file once no other process holds it; None without locks."""
    told = False
    while True:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        except FileNotFoundError:  # the folder was removed in between
            continue
        except OSError:  # a folder that cannot be written to: said by what writes the file
            return None
        try:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    remark(f"waiting for the process that computes {lock.name[1:-5]}")
                told = True
                fcntl.flock(held, fcntl.LOCK_EX)
        except OSError:
            os.close(held)
            return None
        if _is_at(lock, held):
            return held
        os.close(held)  # the holder before removed the file: another process may hold a new one


def _is_at(lock: Path, held: int) -> bool:
    try:
        return os.path.samestat(os.fstat(held), lock.stat())
    except OSError:
        return False
