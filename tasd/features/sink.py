"""The file that HDF5 writes to, on a disk that may be full."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any


class Sink:
    """A file object for h5py that fails where it is asked and not within HDF5.

    HDF5 crashes where a write fails while it closes a file. So an error of the system is kept,
    what is written after it is dropped, and `check` and the end of the block raise the error.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._at = 0
        self._failed: OSError | None = None

    def check(self) -> None:
        """Raise the `OSError` of the first write that failed."""
        if self._failed is not None:
            raise self._failed

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, from the start or from the end."""
        length = os.fstat(self._file.fileno()).st_size if whence == os.SEEK_END else 0
        self._at = length + offset
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def write(self, data: Any) -> int:
        """Write ``data``, any buffer, at the position."""
        content = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(content) and self._failed is None:
                done += os.pwrite(self._file.fileno(), content[done:], self._at + done)
        except OSError as error:
            self._failed = error
        self._at += len(content)
        return len(content)

    def read(self, size: int) -> bytes:
        """Read ``size`` bytes from the position; zeros where nothing was written."""
        found = os.pread(self._file.fileno(), size, self._at)
        self._at += size
        return found.ljust(size, b"\0")

    def truncate(self, size: int) -> int:
        """Set the length; HDF5 does so when it closes the file."""
        try:
            os.ftruncate(self._file.fileno(), size)
        except OSError as error:
            self._failed = self._failed or error
        return size

    def flush(self) -> None:
        """Do nothing: writes are not buffered."""

    def __enter__(self) -> "Sink":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None or isinstance(error, OSError | RuntimeError):  # of HDF5, its consequences
            self.check()
