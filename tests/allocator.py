"""The C library's allocator in the processes of tests: it keeps what a test frees for the next.

glibc maps each large tensor anew and gives it back when it is freed, page for page: half the time
of a test whose tensors have a few megabytes. Other allocators are left as they are.
"""

import ctypes

# Of malloc.h; a value that a version of glibc does not allow changes nothing.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGE = 1 << 30


def keep_freed_memory() -> None:
    """Take tensors of less than 1 GiB from the heap, and keep the heap until it is given back."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGE)
        mallopt(TRIM_THRESHOLD, LARGE)


def give_back() -> None:
    """Give the freed memory back to the system."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
