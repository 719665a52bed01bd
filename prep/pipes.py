"""Reading from many pipes of a process at once."""

import contextlib
import os
import selectors
import time
from collections.abc import Callable, Iterator, Mapping

try:
    from fcntl import F_SETPIPE_SZ, fcntl
except ImportError:  # Linux alone
    fcntl = None  # type: ignore[assignment]

READ_BYTES = 1 << 18
# Capacity of an enlarged pipe, so that its writer seldom waits. The default of Linux is 64 KiB,
# and all pipes of one user together may hold 64 MiB.
PIPE_BYTES = 1 << 18
# A pause in which pipes fill in part: reading after every frame would cost 5 % of the time.
PAUSE_SECONDS = 0.01


@contextlib.contextmanager
def pipes(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Open pipes and yield their reading and writing ends; close those that are still listed."""
    reads: list[int] = []
    writes: list[int] = []
    try:
        for _ in range(count):
            read, write = os.pipe()
            reads.append(read)
            writes.append(write)
        yield reads, writes
    finally:
        for end in reads + writes:
            os.close(end)


def widen(pipe: int) -> None:
    """Enlarge the capacity of a pipe where the system allows it."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)


def drain(
    takers: Mapping[int, Callable[[bytes], object]], deadline: float, *, full: Callable[[], bool]
) -> bool:
    """Read all pipes to their end and pass each piece on; an empty piece marks the end of a pipe.

    takers: from the reading end of a pipe to the function that takes its pieces. Returns False as
    soon as ``full()`` is true. Raises `TimeoutError` at the deadline (by `time.monotonic`).
    """
    with selectors.DefaultSelector() as selector:
        for read, taker in takers.items():
            selector.register(read, selectors.EVENT_READ, taker)
        while selector.get_map():
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                piece = os.read(key.fd, READ_BYTES)
                key.data(piece)
                if not piece:
                    selector.unregister(key.fd)
            if full():
                return False
            time.sleep(PAUSE_SECONDS)
    return True
