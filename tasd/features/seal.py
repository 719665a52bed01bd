"""The seal, the first 512 bytes of a feature file: length and digest of all that follows.

It stands in HDF5's user block, as the preamble of a shard does, so that any HDF5 tool reads the
file and a reader finds damage before HDF5 opens it. Files of other programs need none.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from tasd.files import as_json

SEAL_BYTES = 512
_BEGIN = b"tasd features seal "
_TEXT = re.compile(_BEGIN + rb"1\n(\{[^\n]{1,400}\})\n *")
SEGMENT = 8 << 20  # bytes that one core hashes at a time


class BrokenSeal(Exception):
    """A file that is not as it was written; the text says in which way."""


def seal(path: Path) -> None:
    """Write the seal of a feature file whose first 512 bytes are free. Raises `OSError`."""
    with path.open("r+b") as file:
        length = os.fstat(file.fileno()).st_size
        text = as_json(
            {"length": length, "sha256": _digest(file, length)}, sort_keys=True, ascii=True
        )
        content = _BEGIN + b"1\n" + text.encode() + b"\n"
        file.seek(0)
        file.write(content.ljust(SEAL_BYTES))


def check_seal(file: BinaryIO) -> bool:
    """Return True for a file that is as it was sealed, False for one without a seal.

    Raises `BrokenSeal` for one that has changed since.
    """
    file.seek(0)
    head = file.read(SEAL_BYTES)
    if not head.startswith(_BEGIN):
        return False
    match = _TEXT.fullmatch(head)
    try:
        said = json.loads(match[1]) if match else {}
        wanted, digest = said["length"], said["sha256"]
    except (ValueError, KeyError, TypeError):
        raise BrokenSeal("its first 512 bytes have changed since it was written") from None
    length = os.fstat(file.fileno()).st_size
    if length != wanted:
        raise BrokenSeal(f"it has {length} bytes where {wanted} were written")
    if _digest(file, length) != digest:
        raise BrokenSeal("its content has changed since it was written")
    return True


def _digest(file: BinaryIO, length: int) -> str:
    """Return the sha256 of the sha256 of each segment behind the seal, all cores at work."""
    descriptor = file.fileno()

    def of_segment(start: int) -> bytes:
        digest = hashlib.sha256()
        for piece in _pieces(descriptor, start, min(start + SEGMENT, length)):
            digest.update(piece)
        return digest.digest()

    starts = range(SEAL_BYTES, length, SEGMENT)
    if len(starts) < 2:
        return hashlib.sha256(b"".join(map(of_segment, starts))).hexdigest()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        return hashlib.sha256(b"".join(threads.map(of_segment, starts))).hexdigest()


def _pieces(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    while start < stop and (piece := os.pread(descriptor, min(1 << 20, stop - start), start)):
        yield piece
        start += len(piece)
