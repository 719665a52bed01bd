"""Lists of the members of archives, kept in the store so that no archive is read without need."""

import gzip
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasd.datasets import Problem
from tasd.datasets.members import ArchiveFile, Member
from tasd.files import as_json, replacing

VERSION = 1


@dataclass
class Listing:
    """The files of one archive by their paths once unpacked, and what was left out of it."""

    archive: ArchiveFile
    files: dict[str, Member] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_listing(folder: Path, archive: ArchiveFile) -> Listing | None:
    """Read the list of an archive; None where there is none, or the archive has changed."""
    try:
        with gzip.open(_path(folder, archive), "rt", encoding="utf-8") as file:
            content: Any = json.load(file)
        if content["version"] != VERSION or tuple(content["archive"]) != archive.stamp:
            return None
        files = {path: Member(archive, *about) for path, *about in content["files"]}
        return Listing(archive, files, [Problem(**found) for found in content["problems"]])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None


def write_listing(folder: Path, listing: Listing) -> None:
    """Write the list of an archive, whole or not at all."""
    content = {
        "version": VERSION,
        "archive": listing.archive.stamp,
        "files": [
            (path, m.number, m.size_bytes, m.content, m.sha256) for path, m in listing.files.items()
        ],
        "problems": [asdict(problem) for problem in listing.problems],
    }
    with replacing(_path(folder, listing.archive)) as temporary:
        text = as_json(content, ascii=True).encode()  # ASCII: names need not be UTF-8
        temporary.write_bytes(gzip.compress(text, compresslevel=1, mtime=0))


def _path(folder: Path, archive: ArchiveFile) -> Path:
    name = hashlib.sha256(archive.path.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return folder / f"{name}.json.gz"
