"""Clips in folders: all of them, or those that arrive while a folder is watched."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tasd.datasets.base import FRAME_SUFFIXES, VIDEO_SUFFIXES

SizeAndTime = tuple[int, int]  # bytes; nanoseconds of the last change


def watch_folder(
    folder: Path, *, stop: Callable[[], bool], seconds: float = 1.0
) -> Iterator[list[Path]]:
    """Yield the clips in ``folder``, then those that arrive; a clip that changes comes again.

    The folder is read every ``seconds``. A clip is complete once its size and time are the same
    in two readings. Ends when ``stop`` returns True.
    """
    yielded: dict[Path, SizeAndTime] = {}
    previous: dict[Path, SizeAndTime] = {}
    while not stop():
        current = _sizes_and_times(folder)
        complete = [
            path
            for path, state in current.items()
            if state == previous.get(path) and state != yielded.get(path) and state[0] > 0
        ]
        # Of files that are gone nothing is kept: a watch of weeks does not grow.
        yielded = {path: state for path, state in yielded.items() if path in current}
        yielded |= {path: current[path] for path in complete}
        previous = current
        if complete:
            yield complete
        _wait(seconds, stop)


def _sizes_and_times(folder: Path) -> dict[Path, SizeAndTime]:
    found = {}
    for path in find_clips([folder]):
        if path.is_dir():  # a folder of frames: nothing shows when it is complete
            continue
        with contextlib.suppress(OSError):  # removed since the folder was listed
            status = path.stat()
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stop():
        time.sleep(min(0.1, left))


def find_clips(paths: Sequence[Path]) -> list[Path]:
    """List files as they are named, and every video below each folder, sorted by name.

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
