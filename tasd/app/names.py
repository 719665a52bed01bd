"""Names that a person gave to classes and files: shown as text, and never used as paths."""

import re
import unicodedata
from collections.abc import Collection
from pathlib import PurePosixPath

from tasd.datasets.base import VIDEO_SUFFIXES
from tasd.errors import UserError

MOST_CLASS, MOST_CLIP = 80, 120  # characters
# They change the direction of the text that follows them.
TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Not allowed in names of folders on some system.
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def class_name(text: str) -> str:
    """Return the name of a class without control characters and needless spaces.

    Raises `UserError` where nothing is left, or it is too long.
    """
    name = _plain(text)
    if not name:
        raise UserError("a class needs a name; type one")
    if len(name) > MOST_CLASS:
        raise UserError(
            f"the name of a class has {len(name)} characters; it may have {MOST_CLASS}, so take a "
            "shorter one"
        )
    return name


def clip_name(text: str) -> str:
    """Return the name of an uploaded file without folders, shortened where it is long.

    Raises `UserError` where its ending is not that of a video.
    """
    name = _plain(re.split(r"[/\\]", text)[-1]) or "clip"
    suffix = PurePosixPath(name).suffix
    if suffix.lower() not in VIDEO_SUFFIXES:
        raise UserError(
            f"{shortened(name)} does not end like a video; give mp4, mov, webm, mkv, avi or "
            "another that ffmpeg reads"
        )
    return shortened(name)


def shortened(name: str) -> str:
    """Return a name of at most `MOST_CLIP` characters; its ending stays."""
    if len(name) <= MOST_CLIP:
        return name
    return f"{name[: MOST_CLIP - 13]}…{name[-12:]}"


def folder_name(name: str, taken: Collection[str]) -> str:
    """Return a name for a file or folder on any system that is in no way equal to one taken.

    taken: names in lower case.
    """
    stem, suffix = _safe(name)
    candidate, number = stem + suffix, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{stem} ({number}){suffix}"
    return candidate


def _safe(name: str) -> tuple[str, str]:
    """Stem and suffix of a name without what some system refuses."""
    name = UNSAFE.sub("_", name).strip(" .") or "_"
    if RESERVED.match(name):
        name = f"_{name}"
    suffix = PurePosixPath(name).suffix
    suffix = suffix if suffix.lower() in VIDEO_SUFFIXES else ""
    stem = name.removesuffix(suffix)
    while len(stem.encode()) > 180:  # a name of a file may have 255 bytes
        stem = stem[:-1]
    return stem.strip(" ."), suffix


def _plain(text: str) -> str:
    text = TURNING.sub("", unicodedata.normalize("NFC", text))
    kept = (" " if c.isspace() else c for c in text if unicodedata.category(c) not in ("Cs", "Cn"))
    letters = (c for c in kept if c == " " or unicodedata.category(c) != "Cc")
    return " ".join("".join(letters).split())
