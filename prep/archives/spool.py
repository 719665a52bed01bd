"""The content of a member, and its copy on the way to a decoder: a file of its own for a moment."""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

from prep.archives.faults import ArchiveFault, MemberFault, explained
from prep.archives.members import RawMember
from prep.archives.streams import PIECE, Readable
from tasd.datasets.content import HEAD_BYTES

# Videos are compressed already. A larger file that takes less than a part in two hundred of its
# size in the archive is made to fill the disk.
LEAST_BOMB, BOMB_RATIO = 64 << 20, 200


@dataclass(frozen=True)
class Copy:
    """The copy of a member: its path, its size, and the sha256 of its content."""

    path: Path
    size_bytes: int
    sha256: str


class Content:
    """The content of a member, read once and forward; its beginning can be looked at before.

    The methods raise `MemberFault` where only this member is damaged, else `ArchiveFault`.
    """

    def __init__(self, raw: RawMember) -> None:
        self._raw = raw
        self._fault = MemberFault if raw.alone else ArchiveFault
        self._file: Readable | None = None
        self._head = b""

    def head(self) -> bytes:
        """Return the first bytes."""
        while len(self._head) < HEAD_BYTES and (piece := self._next(HEAD_BYTES - len(self._head))):
            self._head += piece
        return self._head

    def copy(self, target: Path) -> Copy:
        """Copy it to ``target``, which is removed where that fails, as on a full disk."""
        digest, size, crc = hashlib.sha256(), 0, 0
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("wb") as file:
                piece = self._head or self._next(PIECE)
                while piece:
                    file.write(piece)
                    digest.update(piece)
                    crc = zlib.crc32(piece, crc) if self._raw.crc is not None else 0
                    size += len(piece)
                    self._refuse_bomb(size)
                    piece = self._next(PIECE)
            if self._raw.crc not in (None, crc):
                raise ArchiveFault("it is damaged (checksum of a member): download it again")
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return Copy(target, size, digest.hexdigest())

    def _next(self, size: int) -> bytes:
        with explained(self._fault):
            if self._file is None:
                self._file = self._raw.open()
            return self._file.read(size)

    def _refuse_bomb(self, size: int) -> None:
        if size > LEAST_BOMB and size > BOMB_RATIO * max(self._raw.packed(), 1):
            raise MemberFault(
                f"more than {BOMB_RATIO} times as large as its part of the archive: no video is"
            )
