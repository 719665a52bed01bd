"""One member of an archive on its way, and its place once it is unpacked."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal

from prep.archives.streams import Readable

RawKind = Literal["file", "folder", "hard link", "link", "device", "sparse", "encrypted"]


@dataclass(frozen=True)
class RawMember:
    """A member as its archive gives it, to be read before the next one is asked for.

    target: of a link. open: begin to read it. packed: bytes that it takes in the archive, as far
    as it has been read. crc: its checksum where the reader does not compare it.
    alone: True where a fault of it leaves those behind it readable.
    """

    name: str
    kind: RawKind
    size: int
    open: Callable[[], Readable]
    packed: Callable[[], int]
    target: str = ""
    crc: int | None = None
    alone: bool = False


Reader = Generator[RawMember, None, None]


def unpacked_path(folder: str, name: str) -> str:
    """Return the path of a member of an archive in ``folder``; empty where it would lead out."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or (parts and ":" in parts[0][1:2]):
        return ""
    return "/".join([folder, *parts] if folder else parts)
