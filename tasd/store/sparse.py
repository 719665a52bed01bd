"""A sparse file in memory, to which HDF5 writes the index of a shard.

HDF5 does not recover from a full disk: its handles stay open and its errors are lost. So HDF5
writes to memory, and ordinary writes, with ordinary errors, bring the pages to the disk.
"""

import os
from typing import Any, BinaryIO

PAGE = 4096


class SparseFile:
    """A file object for h5py; unwritten parts read as zeros and take no memory."""

    def __init__(self) -> None:
        self.length = 0
        self._at = 0
        self._pages: dict[int, bytearray] = {}

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, from the start or from the end."""
        self._at = offset + (self.length if whence == os.SEEK_END else 0)
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def write(self, data: Any) -> int:
        """Write ``data``, any buffer, at the position."""
        content = bytes(data)
        done = 0
        while done < len(content):
            number, start = divmod(self._at + done, PAGE)
            piece = content[done : done + PAGE - start]
            page = self._pages.setdefault(number, bytearray(PAGE))
            page[start : start + len(piece)] = piece
            done += len(piece)
        self._at += done
        self.length = max(self.length, self._at)
        return done

    def read(self, size: int) -> bytes:
        """Read ``size`` bytes from the position."""
        first, start = divmod(self._at, PAGE)
        last = (self._at + size) // PAGE
        pages = (self._pages.get(number, bytes(PAGE)) for number in range(first, last + 1))
        self._at += size
        return b"".join(pages)[start : start + size]

    def truncate(self, size: int) -> int:
        """Set the length; HDF5 does so when it closes the file."""
        self.length = size
        return size

    def flush(self) -> None:
        """Do nothing: writes are not buffered."""

    def copy_to(self, file: BinaryIO) -> None:
        """Copy everything to a new file; parts that were never written stay holes."""
        file.truncate(self.length)
        for number, page in sorted(self._pages.items()):
            file.seek(number * PAGE)
            file.write(page[: max(0, self.length - number * PAGE)])
