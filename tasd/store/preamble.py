"""The first 512 bytes of a shard: enough to trust the rest before HDF5 sees it.

HDF5 leaves room for a user's block before its own data. It stands there because HDF5 may loop
for ever, or crash, on damaged metadata: a reader first compares their hash with this block.
"""

import hashlib
import json
import re
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
    """Where the pixels lie, how long the file is, and the hash of all between here and there."""

    offset: int
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
        whole = PREAMBLE_BYTES <= preamble.offset <= preamble.length
    except (ValueError, TypeError):
        raise Damaged("its first 512 bytes are not as they were written") from None
    if not whole or preamble.length != length:
        raise Damaged(f"it has {length} bytes where {preamble.length} were written")
    if file_sha256(file, PREAMBLE_BYTES, preamble.offset) != preamble.index_sha256:
        raise Damaged("its index is not as it was written")
    return preamble


def file_sha256(file: BinaryIO, start: int, stop: int) -> str:
    """The sha256 of a part of a file, in flat memory."""
    digest = hashlib.sha256()
    file.seek(start)
    left = stop - start
    while left and (piece := file.read(min(left, READ_BYTES))):
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()
