"""Memory for many integers: on the disk where there are too many for main memory."""

import os
import tempfile

import numpy as np
from jaxtyping import Int64

HELD_BYTES = 32 << 20  # of one array in main memory


def room(shape: tuple[int, ...]) -> Int64[np.ndarray, "..."]:
    """Return an array to be filled. A large one is a file without a name, which ends with it.

    What of a file was read or written is in the system's cache and no part of what a program holds.
    Where the disk has no place for it, it is in main memory.
    """
    size = 8 * int(np.prod(shape))
    if size <= HELD_BYTES or not hasattr(os, "posix_fallocate"):
        return np.empty(shape, np.int64)
    try:
        with tempfile.TemporaryFile(prefix="tasd-episodes-") as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk shows now, not in a write
            return np.memmap(file, np.int64, "r+", shape=shape)
    except OSError:
        return np.empty(shape, np.int64)
