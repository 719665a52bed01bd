"""Processes that write files: who they are, and if one still runs."""

import hashlib
import os
import socket
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def host() -> str:
    """The name of this host."""
    return socket.gethostname()


@lru_cache(maxsize=1)
def host_tag() -> str:
    """Eight hexadecimal digits for the host, this start of it, and its process numbers.

    Two containers of one name, and a host before and after a restart, have different tags: the
    number of a process of one says nothing in the other.
    """
    parts = [host()]
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")):
        try:
            parts.append(path.read_text() if path.name == "boot_id" else str(path.stat().st_ino))
        except OSError:
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def runs(pid: int) -> bool:
    """True where a process of this host has that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
