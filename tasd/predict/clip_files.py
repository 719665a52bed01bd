"""Which files a person means by the names on the command line."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasd.datasets.base import FRAME_SUFFIXES, VIDEO_SUFFIXES


def clips_among(paths: Sequence[Path]) -> list[Path]:
    """Files as they are named; of a folder every video below it, in the order of names.

    A folder of JPEG frames is a video.
    """
    return list(dict.fromkeys(clip for path in paths for clip in _clips(path)))


def _clips(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for found in sorted(path.rglob("*")):
        if any(part.startswith(".") for part in found.relative_to(path).parts):
            continue
        if found.suffix.lower() in FRAME_SUFFIXES:
            yield found.parent
        elif found.suffix.lower() in VIDEO_SUFFIXES and found.is_file():
            yield found
