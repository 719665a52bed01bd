"""A file in memory that keeps only what was written, for HDF5 to write the index of a shard to.

HDF5 does not recover from a disk that fills: its handles stay open and its errors are lost. So
it writes here, and plain writes, with plain errors, bring the pages to the disk.
"""

import os
from typing import Any, BinaryIO

PAGE = 4096


class SparseFile:
    """What h5py asks of a file object; unwritten parts read as zeros and take no memory."""

    def __init__(self) -> None:
        self.length = 0
        self._at = 0
        self._pages: dict[int, bytearray] = {}

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; from the start or from the end."""
        self._at = offset + (self.length if whence == os.SEEK_END else 0)
        return self._at

    def tell(self) -> int:
        """The place moved to."""
        return self._at

    def write(self, data: Any) -> int:
        """Keep ``data``, any buffer, at the place moved to."""
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
        """``size`` bytes from the place moved to."""
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
        """Nothing waits."""

    def copy_to(self, file: BinaryIO) -> None:
        """Write it all to a new file; what was never written stays a hole."""
        file.truncate(self.length)
        for number, page in sorted(self._pages.items()):
            file.seek(number * PAGE)
            file.write(page[: max(0, self.length - number * PAGE)])
