"""Clips that arrive in a folder while it is watched."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tasd.datasets.base import FRAME_SUFFIXES, VIDEO_SUFFIXES

Stamp = tuple[int, int]


def arrivals(
    folder: Path, *, stop: Callable[[], bool], seconds: float = 1.0
) -> Iterator[list[Path]]:
    """The clips that are there, then those that arrive, each once; again when its file changes.

    A clip has arrived when its size and time are the same at two looks, ``seconds`` apart.
    Ends when ``stop`` says so.
    """
    done: dict[Path, Stamp] = {}
    before: dict[Path, Stamp] = {}
    while not stop():
        now = _stamps(folder)
        settled = [
            path
            for path, stamp in now.items()
            if stamp == before.get(path) and stamp != done.get(path) and stamp[0] > 0
        ]
        done |= {path: now[path] for path in settled}
        before = now
        if settled:
            yield settled
        _wait(seconds, stop)


def _stamps(folder: Path) -> dict[Path, Stamp]:
    found = {}
    for path in clips_among([folder]):
        if path.is_dir():  # of frames: nothing tells when it is complete
            continue
        with contextlib.suppress(OSError):  # gone between the two
            status = path.stat()
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stop():
        time.sleep(min(0.1, left))


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
