"""Verification of the shards that are in use: their digests, computed beside other work.

A shard that was found whole is remembered in the user's cache folder, and not read again as long as
its length, inode and time of change stay the same.
"""

import contextlib
import hashlib
import itertools
import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from tasd.errors import UserError
from tasd.files import read_json, write_json
from tasd.foreign import open_regular
from tasd.home import cache_folder
from tasd.store.jpeg import fault
from tasd.store.opened import changed
from tasd.store.preamble import READ_BYTES
from tasd.store.shard import FileStamp, Shard

FORMAT, VERSION = "tasd-verified", 1
MOST = 10_000  # shards that are remembered
LOWEST = 19  # priority


class Verification:
    """A thread of lowest priority that compares shards with their digests.

    with Verification(shards) as verification:
        ...  # call verification.check() now and then
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        known = _remembered()
        self._left = [shard for shard in shards if known.get(_name(shard)) != _entry(shard)]
        self._error: UserError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tasd-verify", daemon=True)

    def check(self) -> None:
        """Raise `UserError` where a shard was found that differs; takes no time."""
        if self._error is not None:
            raise self._error

    def left(self) -> int:
        """Return the number of shards that are not verified yet."""
        return len(self._left)

    def wait(self) -> None:
        """Wait for the end. Raises `UserError` as `check`."""
        if self._thread.is_alive():
            self._thread.join()
        self.check()

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
        while self._left and not self._stop.is_set():
            try:
                if not verify(self._left[0], stop=self._stop.is_set):
                    return
            except UserError as error:
                self._error = error
                return
            _remember(self._left.pop(0))

    def __enter__(self) -> "Verification":
        if self._left:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


def verify(shard: Shard, *, stop: Callable[[], bool] = lambda: False) -> bool:
    """Compare the pixels of a shard with its digest; return False where it was stopped before.

    Raises `UserError`, with the video and where it can be told the frame.
    """
    digest, left = hashlib.sha256(), shard.nbytes
    try:
        with open_regular(shard.path) as file:
            file.seek(shard.preamble.offset)
            while left and not stop() and (piece := file.read(min(left, READ_BYTES))):
                digest.update(piece)
                left -= len(piece)
            if FileStamp.of(file) != shard.stamp:
                raise changed(shard)
    except OSError as error:
        raise UserError(f"shard {shard.path} cannot be read: {error.strerror}") from None
    if left:
        return False
    if digest.hexdigest() != shard.index.sha256:
        raise UserError(
            f"{_differing(shard)} in shard {shard.path} is not as it was written; run the same "
            "tasd prep again to mend the store, or train on it as it is with --no-verify"
        )
    return True


def _differing(shard: Shard) -> str:
    """Name the first video whose digest differs, and its first frame that no decoder reads."""
    try:
        digests = json.loads(shard.index.attributes.get("digests", "{}"))
        index = shard.index
        names = zip(index.classes, index.names, strict=True)
        with open_regular(shard.path) as file:
            for number, (class_name, name) in enumerate(names):
                first, last = map(int, index.first_frame[number : number + 2])
                edges = index.frame_offset[first : last + 1].tolist()
                file.seek(shard.preamble.offset + edges[0])
                content = file.read(edges[-1] - edges[0])
                written = digests.get(f"{class_name}/{name}", "")
                if written and hashlib.sha256(content).hexdigest() != written:
                    at = _broken_frame(content, [edge - edges[0] for edge in edges])
                    frame = f"frame {at}" if at is not None else f"one of the {last - first} frames"
                    return f"{frame} of video {f'{class_name}/{name}'!r}"
    except (OSError, ValueError, AttributeError, RecursionError):
        pass
    return "a frame"


def _broken_frame(content: bytes, edges: Sequence[int]) -> int | None:
    """Return the first frame that does not decode or is no whole JPEG; None where all are."""
    for at, (start, stop) in enumerate(itertools.pairwise(edges)):
        if fault(content[start:stop]):
            return at
    return None


def _name(shard: Shard) -> str:
    return str(shard.path.absolute())


def _entry(shard: Shard) -> list[object]:
    stamp = shard.stamp
    return [shard.index.sha256, stamp.length, stamp.inode, stamp.modified]


def _remembered() -> dict[str, object]:
    try:
        content = read_json(_file(), format=FORMAT, version=VERSION, what="", way_out="")
    except UserError:  # none yet, or damaged: all is verified again
        return {}
    shards = content.get("shards")
    return shards if isinstance(shards, dict) else {}


def _remember(shard: Shard) -> None:
    shards = _remembered()
    shards.pop(_name(shard), None)
    shards = dict([*shards.items(), (_name(shard), _entry(shard))][-MOST:])
    with contextlib.suppress(UserError):  # a cache folder that cannot be written
        write_json(_file(), {"format": FORMAT, "version": VERSION, "shards": shards})


def _file() -> Path:
    return cache_folder() / "verified.json"
