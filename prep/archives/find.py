"""The archives of a root: their names, and the parts of those that were split by bytes."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tasd.datasets.layout import DEEPEST
from tasd.datasets.members import ArchiveFile
from tasd.errors import UserError

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
SUFFIXES = (*TARS, ".zip", ".rar")
# 20bn-something-something-v2-07, x.tar.gz.07, x.tgz.part-ab: parts of one tar, split by bytes.
_PART = re.compile(
    r"(?P<stem>20bn-.*-|.*\.(?:tar|tar\.gz|tgz)[.-](?:part-?)?)(?P<number>\d{2,3}|(?!bz)[a-e][a-z])",
    re.IGNORECASE,
)
_LATER_VOLUME = re.compile(r".*\.part0*(?:[2-9]|1\d+)\.rar", re.IGNORECASE)


def is_archive(name: str) -> bool:
    """True for the name of an archive, or of a part of one."""
    whole = name.lower().endswith(SUFFIXES) and not _LATER_VOLUME.fullmatch(name)
    return not name.startswith(".") and (whole or _PART.fullmatch(name) is not None)


def root_folder(root: Path) -> Path:
    """Return the folder of the videos: the root itself, or that of the archive that it is."""
    return root.parent if root.is_file() and is_archive(root.name) else root


def find_archives(root: Path, *, follow_links: bool = False) -> tuple[ArchiveFile, ...]:
    """Find the archives below a root, sorted; or the one that the root is, with all its parts.

    Raises `UserError` where a part is missing.
    """
    base = root_folder(root)
    if base != root:
        same = _stem(root.name)
        names = [entry.name for entry in _files(base) if is_archive(entry.name)]
        parts = sorted(name for name in names if same and _stem(name) == same) or [root.name]
        return (_archive(base, parts),)
    found = sorted(_below(base, "", DEEPEST, follow_links), key=lambda path: (_group(path), path))
    return tuple(_archive(base, list(parts)) for _, parts in groupby(found, key=_group))


def _below(root: Path, folder: str, depth: int, follow_links: bool) -> Iterator[str]:
    """Yield the paths of the archives in a folder and those in it, without hidden ones."""
    prefix = f"{folder}/" if folder else ""
    for entry in _files(root / folder):
        if entry.name.startswith(".") or not (follow_links or _is_inside(entry, root)):
            continue
        if os.path.isdir(entry.path):  # False for a link to itself, where `is_dir` raises an error
            if depth:
                yield from _below(root, prefix + entry.name, depth - 1, follow_links)
        elif is_archive(entry.name) and os.path.isfile(entry.path):
            yield prefix + entry.name


def _files(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []  # the search for videos reports it


def _is_inside(entry: os.DirEntry[str], root: Path) -> bool:
    # Of a link that leads to itself `Path.resolve` raises an error.
    inside = Path(os.path.realpath(entry.path)).is_relative_to(os.path.realpath(root))
    return not entry.is_symlink() or inside


def _stem(name: str) -> str:
    match = _PART.fullmatch(name)
    return match["stem"] if match else ""


def _group(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{_stem(name) or name}"


def _archive(root: Path, parts: Sequence[str]) -> ArchiveFile:
    if _stem(parts[0].rpartition("/")[2]):
        _check_parts(root, parts)
    stats = [(root / part).stat() for part in parts]
    return ArchiveFile(
        parts[0],
        sum(found.st_size for found in stats),
        max(found.st_mtime_ns for found in stats),
        tuple(parts),
    )


def _check_parts(root: Path, parts: Sequence[str]) -> None:
    """Raise `UserError` where the numbers of the parts have a gap."""
    numbers = [
        path.rpartition("/")[2].removeprefix(_stem(path.rpartition("/")[2])) for path in parts
    ]
    counts = [_count(number) for number in numbers]
    first = 0 if counts[0] == 0 or numbers[0].isalpha() else 1
    for place, count in enumerate(counts, start=first):
        if count != place:
            stem = parts[0].removesuffix(numbers[0])
            raise UserError(
                f"{root / stem}{_spelled(place, numbers[0])} is missing, one of the parts of a "
                f"split archive ({len(parts)} are there); download it too"
            )


def _count(number: str) -> int:
    if number.isdecimal():
        return int(number)
    high, low = (ord(letter) - ord("a") for letter in number.lower())
    return 26 * high + low


def _spelled(place: int, like: str) -> str:
    if like.isdecimal():
        return f"{place:0{len(like)}}"
    return chr(ord("a") + place // 26) + chr(ord("a") + place % 26)
