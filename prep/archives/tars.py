"""Members of tar archives, in one pass and in bounded memory."""

import contextlib
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, cast

from prep.archives.faults import EARLY_END, ArchiveFault, explained
from prep.archives.members import RawKind, RawMember, Reader
from prep.archives.streams import PIECE, Forward, Parts, Readable, decompressed
from tasd.datasets.content import not_a_video

MOST_OF_A_NAME = 1 << 20  # bytes of a long name, or of other extended headers
USTAR = b"ustar"  # at byte 257 of a tar that is not compressed
NAMES = (*b"LKxgX",)  # types of headers that hold names and the like for the next one


class _Header(tarfile.TarInfo):
    """A header; where it is damaged, it is an error and not the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise ArchiveFault("it has no end mark and may be cut off: download it again") from None
        except tarfile.TruncatedHeaderError:  # type: ignore[attr-defined]
            raise ArchiveFault(EARLY_END) from None
        except tarfile.HeaderError as error:
            raise ArchiveFault(f"it is damaged ({error}): download it again") from None
        if header.type[0] in NAMES and header.size > MOST_OF_A_NAME:
            raise ArchiveFault(f"it is damaged (a name of {header.size:,} bytes)")
        if header.size < 0:
            raise ArchiveFault("it is damaged (a member of negative size)")
        return header


def tar_members(paths: Sequence[Path]) -> Reader:
    """Yield the members of a tar archive, compressed or not, from its parts.

    Raises `ArchiveFault`.
    """
    with contextlib.closing(Parts(paths[:1])) as begun:
        head = begun.read(PIECE)
    source = Parts(paths)
    if not head:
        raise ArchiveFault("it is empty: download it again")
    with contextlib.closing(source):
        if len(paths) == 1 and head[257:262] == USTAR:
            with paths[0].open("rb") as file:  # passes over members without reading them
                yield from stream_members(file, file.tell, head)
        else:
            with explained():
                stream = decompressed(source)
            yield from stream_members(stream, lambda: source.consumed, head)


def stream_members(
    stream: IO[bytes] | Forward, consumed: Callable[[], int], head: bytes = b""
) -> Reader:
    """Yield the members of a tar stream. Raises `ArchiveFault`.

    consumed: bytes of the archive read so far. head: its first bytes, to tell what it is instead.
    """
    try:
        with explained():
            tar = tarfile.TarFile(fileobj=cast("Any", stream), tarinfo=_Header)
    except ArchiveFault as fault:
        found = not_a_video(head)
        if found and found[0] != "archive":
            raise ArchiveFault(f"it is {found[1].partition(',')[0]}, not an archive") from None
        raise fault from None
    while True:
        with explained():
            header = tar.next()
            tar.members = []  # type: ignore[attr-defined]  # the library would keep all
            if header is None:
                while isinstance(stream, Forward) and stream.read(PIECE):
                    pass  # up to the checksum at the end
                return
        yield _member(tar, header, consumed)


def _member(
    tar: tarfile.TarFile, header: tarfile.TarInfo, consumed: Callable[[], int]
) -> RawMember:
    before = consumed()

    def opened() -> Readable:
        file = tar.extractfile(header)
        assert file is not None
        return file

    return RawMember(
        header.name,
        _kind(header),
        header.size,
        opened,
        lambda: consumed() - before,
        target=header.linkname,
    )


def _kind(header: tarfile.TarInfo) -> RawKind:
    if header.isdir():
        return "folder"
    if header.islnk():
        return "hard link"
    if header.issym():
        return "link"
    if header.issparse():
        return "sparse"
    return "file" if header.isreg() else "device"
