"""Listening to a process through many pipes at once."""

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
# What a wide pipe holds, so that its writer need not wait; Linux has 64 KiB otherwise. A user
# may have 64 MiB of them in all.
ROOM_BYTES = 1 << 18
# Pipes fill meanwhile, and are not full yet: waking up for every frame costs a twentieth.
PAUSE_SECONDS = 0.01


@contextlib.contextmanager
def pipes(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """The reading and the writing ends of some pipes; those still in the lists are closed."""
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
    """Have a pipe hold more, while the system has room for such."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl(pipe, F_SETPIPE_SZ, ROOM_BYTES)


def drain(
    takers: Mapping[int, Callable[[bytes], object]], deadline: float, *, full: Callable[[], bool]
) -> bool:
    """Hand on what comes through each pipe until all have ended; an empty piece is the end.

    False as soon as it is ``full``. Raises `TimeoutError` at the deadline (`time.monotonic`).
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
