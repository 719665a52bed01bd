"""The first 512 bytes of a shard: enough to trust the rest before HDF5 sees it.

HDF5 leaves room for a user's block before its own data. It stands there because HDF5 may loop
for ever, or crash, on damaged metadata: a reader first compares their hash with this block.
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
    """What is wrong with a shard; becomes a `UserError` that names the file."""


@dataclass(frozen=True)
class Preamble:
    """Where the pixels lie, how long the file is, and the hash of all but the pixels and this."""

    offset: int
    nbytes: int
    length: int
    index_sha256: str

    def encode(self) -> bytes:
        """The block as it stands in the file; a line of text that ``head -2`` shows."""
        text = f"{FORMAT} {FORMAT_VERSION}\n{canonical_json(asdict(self))}\n".encode()
        assert len(text) <= PREAMBLE_BYTES
        return text.ljust(PREAMBLE_BYTES)


def read_preamble(file: BinaryIO, *, length: int) -> Preamble:
    """The preamble of a file of this length, whose index is the one it names. Raises `Damaged`."""
    match = _TEXT.fullmatch(file.read(PREAMBLE_BYTES))
    if not match:
        raise Damaged("it does not begin as a shard does")
    if int(match[1]) != FORMAT_VERSION:
        raise Damaged(
            f"it has format version {int(match[1])}; this release reads version {FORMAT_VERSION}"
        )
    try:
        preamble = Preamble(**json.loads(match[2]))
        within = PREAMBLE_BYTES <= preamble.offset <= preamble.offset + preamble.nbytes
    except (ValueError, TypeError):
        raise Damaged("its first 512 bytes are not as they were written") from None
    if preamble.length != length:
        raise Damaged(f"it has {length} bytes where {preamble.length} were written")
    if not within or preamble.offset + preamble.nbytes > length:
        raise Damaged("its pixels do not lie within it")
    if index_sha256(file, offset=preamble.offset, nbytes=preamble.nbytes) != preamble.index_sha256:
        raise Damaged("its index is not as it was written")
    return preamble


def index_sha256(file: BinaryIO, *, offset: int, nbytes: int) -> str:
    """The sha256 of a shard without its preamble and its pixels, which lie at ``offset``."""
    digest = hashlib.sha256()
    _hash_range(file, digest.update, start=PREAMBLE_BYTES, stop=offset)
    _hash_range(file, digest.update, start=offset + nbytes, stop=None)
    return digest.hexdigest()


def pixels_sha256(file: BinaryIO, preamble: Preamble) -> str:
    """The sha256 of ``/bytes`` as it is on the disk now."""
    digest = hashlib.sha256()
    start, stop = preamble.offset, preamble.offset + preamble.nbytes
    _hash_range(file, digest.update, start=start, stop=stop)
    return digest.hexdigest()


def _hash_range(
    file: BinaryIO, update: Callable[[bytes], None], *, start: int, stop: int | None
) -> None:
    """Pass a part of a file on, piece by piece; up to its end without a ``stop``."""
    file.seek(start)
    left = READ_BYTES if stop is None else stop - start
    while left and (piece := file.read(min(left, READ_BYTES))):
        update(piece)
        left -= 0 if stop is None else len(piece)
