"""A shard that is being read: each read by position, after a look at the file itself."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasd.errors import UserError
from tasd.foreign import open_regular
from tasd.store.shard import FileStamp, Shard


class OpenShard:
    """The pixels of a shard, which must stay as it was when its store was opened."""

    def __init__(self, shard: Shard) -> None:
        self._shard, self._file = shard, -1
        try:
            with open_regular(shard.path) as file:
                if FileStamp.of(file) != shard.stamp:
                    raise changed(shard)
                self._file = os.dup(file.fileno())
        except OSError as error:
            raise _unread(shard, error) from None

    def read(self, ranges: Sequence[tuple[int, int]]) -> list[NDArray[np.uint8]]:
        """Return the bytes of each range of ``/bytes``. Raises `UserError`."""
        start = self._shard.preamble.offset
        try:
            if FileStamp.of(self._file) != self._shard.stamp:
                raise changed(self._shard)
            found = [os.pread(self._file, stop - at, start + at) for at, stop in ranges]
        except OSError as error:
            raise _unread(self._shard, error) from None
        if any(len(part) != stop - at for part, (at, stop) in zip(found, ranges, strict=True)):
            raise changed(self._shard)
        return [np.frombuffer(part, np.uint8) for part in found]

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


def changed(shard: Shard) -> UserError:
    """Return the error of a shard that was written to, cut short or replaced while in use."""
    return UserError(
        f"shard {shard.path} changed since the store was opened; leave a store as it is while it "
        "is read, mend it by the same tasd prep again, and start again"
    )


def _unread(shard: Shard, error: OSError) -> UserError:
    return UserError(f"shard {shard.path} cannot be read: {error.strerror}")
