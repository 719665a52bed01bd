"""Bytes of archives: parts joined to one stream, decompressed, read forward in bounded memory."""

import bz2
import io
import lzma
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol, cast, runtime_checkable

from prep.archives.faults import ArchiveFault

PIECE = 1 << 20
GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"


@runtime_checkable
class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end."""
        ...


class Parts:
    """Files that were split by bytes, as one stream; ``consumed`` counts the bytes read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._file: IO[bytes] | None = None
        self.consumed = 0

    def read(self, size: int = PIECE, /) -> bytes:
        """Read up to ``size`` bytes. Raises `ArchiveFault` where the disk fails."""
        try:
            while self._file or self._paths:
                if self._file is None:
                    self._file = self._paths.pop(0).open("rb", buffering=0)
                if piece := self._file.read(size):
                    self.consumed += len(piece)
                    return piece
                self.close()
        except OSError as error:
            raise ArchiveFault(f"the disk reports {error.strerror}", passing=True) from None
        return b""

    def close(self) -> None:
        """Close the part that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Gunzip:
    """A gzip stream of any number of members; zlib compares their checksums.

    `gzip.GzipFile` reads pieces of 8 kB before Python 3.12.
    """

    def __init__(self, source: Readable) -> None:
        self._source, self._rest = source, b""
        self._stream = zlib.decompressobj(31)
        self._started = True

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes. Raises `zlib.error`, or `EOFError` where it is cut off."""
        while True:
            if self._stream.eof:
                self._rest = (self._stream.unused_data or self._source.read(PIECE)).lstrip(b"\0")
                if not self._rest:
                    return b""
                self._stream = zlib.decompressobj(31)
            piece = self._rest or self._source.read(PIECE)
            if not piece:
                raise EOFError
            out = self._stream.decompress(piece, size)
            self._rest = self._stream.unconsumed_tail
            if out:
                return out


class Forward(io.RawIOBase):
    """A stream with a place that can be moved forward, as `tarfile` wants it."""

    def __init__(self, source: Readable, begun: bytes = b"") -> None:
        super().__init__()
        self._source, self._place, self._ahead = source, 0, begun

    def read(self, size: int = -1, /) -> bytes:
        """Read exactly ``size`` bytes, fewer only at the end."""
        assert size >= 0
        pieces, left = [], size
        while left and (piece := self._ahead or self._source.read(min(left, PIECE))):
            pieces.append(piece[:left])
            self._ahead = piece[left:]
            left -= len(pieces[-1])
        self._place += size - left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def seek(self, place: int, whence: int = 0, /) -> int:
        """Move forward."""
        if whence or place < self._place:
            raise ValueError("its members overlap")
        while self._place < place and self.read(min(PIECE, place - self._place)):
            pass
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place


def decompressed(source: Readable) -> Forward:
    """Return a tar stream without its compression, which its first bytes tell."""
    head = source.read(PIECE)
    whole = Forward(source, head)
    if head.startswith(GZIP):
        return Forward(Gunzip(whole))
    if head.startswith(BZIP2):
        return Forward(bz2.BZ2File(whole))
    if head.startswith(XZ):
        return Forward(lzma.LZMAFile(cast("IO[bytes]", whole)))
    return whole
