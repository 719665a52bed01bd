"""Members of zip archives, in the order in which they lie there."""

import stat
import zipfile
from pathlib import Path

from prep.archives.faults import ArchiveFault, explained
from prep.archives.members import RawKind, RawMember, Reader
from prep.archives.streams import Readable
from tasd.datasets.content import file_head, not_a_video

ZIP = b"PK"
ENCRYPTED = 1  # bit of the flags


def zip_members(path: Path) -> Reader:
    """Yield the members of a zip archive. Raises `ArchiveFault`."""
    try:
        with explained():
            archive = zipfile.ZipFile(path)
    except ArchiveFault as fault:
        raise ArchiveFault(_not_a_zip(path, str(fault))) from None
    except OSError as error:
        raise ArchiveFault(f"the disk reports {error.strerror}", passing=True) from None
    with archive:
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            yield _member(archive, info)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> RawMember:
    def opened() -> Readable:
        return archive.open(info)

    return RawMember(
        _name(info),
        _kind(info),
        info.file_size,
        opened,
        lambda: info.compress_size,
        alone=True,
    )


def _name(info: zipfile.ZipInfo) -> str:
    # Made on Windows by a program that does not keep to the format.
    return info.filename if "/" in info.filename else info.filename.replace("\\", "/")


def _kind(info: zipfile.ZipInfo) -> RawKind:
    mode = info.external_attr >> 16
    if info.is_dir() or stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISLNK(mode):
        return "link"
    if info.flag_bits & ENCRYPTED:
        return "encrypted"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "device"


def _not_a_zip(path: Path, reason: str) -> str:
    head = file_head(path)
    found = not_a_video(head)
    if not head:
        return "it is empty: download it again"
    if found and found[0] != "archive":
        return f"it is {found[1].partition(',')[0]}, not an archive"
    if head.startswith(ZIP):
        return "its index, at its end, is missing or damaged: download it again"
    return reason
