"""The preamble, the first 512 bytes of a shard: what is needed to check the rest before HDF5.

It stands in HDF5's user block. HDF5 may loop for ever, or crash, on damaged metadata, so a
reader first compares the hash of the metadata with this block.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import BinaryIO

from tasd.store.format import FORMAT, FORMAT_VERSION, canonical_json

PREAMBLE_BYTES = 512
READ_BYTES = 4 << 20
_TEXT = re.compile(rf"{FORMAT} (\d+)\n(\{{.*\}})\n *".encode())


class Damaged(Exception):
    """The damage of a shard; becomes a `UserError` that names the file."""


@dataclass(frozen=True)
class Preamble:
    """Place of the pixels, length of the file, and the hash of all but pixels and preamble."""

    offset: int
    nbytes: int
    length: int
    index_sha256: str

    def encode(self) -> bytes:
        """Return the 512 bytes of the file: two lines of text, padded with spaces."""
        text = f"{FORMAT} {FORMAT_VERSION}\n{canonical_json(asdict(self))}\n".encode()
        assert len(text) <= PREAMBLE_BYTES
        return text.ljust(PREAMBLE_BYTES)


def read_preamble(file: BinaryIO, *, length: int) -> Preamble:
    """Read the preamble, and check the file's length and index against it. Raises `Damaged`."""
    match = _TEXT.fullmatch(file.read(PREAMBLE_BYTES))
    if not match:
        raise Damaged("it does not begin as a shard does")
    if int(match[1]) != FORMAT_VERSION:
        raise Damaged(
            f"it has version {int(match[1])} of the format, this tasd reads version "
            f"{FORMAT_VERSION}"
        )
    try:
        preamble = Preamble(**json.loads(match[2]))
        within = PREAMBLE_BYTES <= preamble.offset <= preamble.offset + preamble.nbytes
    except (ValueError, TypeError):
        raise Damaged("its first 512 bytes have changed since it was written") from None
    if preamble.length != length:
        raise Damaged(f"it has {length} bytes where {preamble.length} were written")
    if not within or preamble.offset + preamble.nbytes > length:
        raise Damaged("its pixels do not lie within it")
    if index_sha256(file, offset=preamble.offset, nbytes=preamble.nbytes) != preamble.index_sha256:
        raise Damaged("its index has changed since it was written")
    return preamble


def index_sha256(file: BinaryIO, *, offset: int, nbytes: int) -> str:
    """Compute the sha256 of a shard without its preamble and its pixels (at ``offset``)."""
    digest = hashlib.sha256()
    _hash_range(file, digest.update, start=PREAMBLE_BYTES, stop=offset)
    _hash_range(file, digest.update, start=offset + nbytes, stop=None)
    return digest.hexdigest()


def pixels_sha256(file: BinaryIO, preamble: Preamble) -> str:
    """Compute the sha256 of ``/bytes`` as it is on the disk now."""
    digest = hashlib.sha256()
    start, stop = preamble.offset, preamble.offset + preamble.nbytes
    _hash_range(file, digest.update, start=start, stop=stop)
    return digest.hexdigest()


def _hash_range(
    file: BinaryIO, update: Callable[[bytes], None], *, start: int, stop: int | None
) -> None:
    """Read part of a file piece by piece, up to its end without a ``stop``."""
    file.seek(start)
    left = READ_BYTES if stop is None else stop - start
    while left and (piece := file.read(min(left, READ_BYTES))):
        update(piece)
        left -= 0 if stop is None else len(piece)
