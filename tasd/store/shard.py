"""Reader of one shard, which checks everything in the file before it is used."""

import json
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from tasd.errors import UserError
from tasd.foreign import open_regular
from tasd.store.format import ShardEntry, ShardIndex
from tasd.store.preamble import Damaged, Preamble, pixels_sha256, read_preamble


@dataclass(frozen=True)
class FileStamp:
    """Identity and state of a file: if it changes, the file was replaced or written to."""

    length: int
    inode: int
    modified: int

    @classmethod
    def of(cls, file: BinaryIO | int) -> "FileStamp":
        """Return the stamp of an open file as it is now."""
        status = os.fstat(file if isinstance(file, int) else file.fileno())
        return cls(status.st_size, status.st_ino, status.st_mtime_ns)


@dataclass(frozen=True, eq=False)
class Shard:
    """One shard whose index was read and checked."""

    path: Path
    stamp: FileStamp
    preamble: Preamble
    index: ShardIndex

    @property
    def nbytes(self) -> int:
        """Bytes of JPEG in the shard."""
        return self.preamble.nbytes

    @property
    def entry(self) -> ShardEntry:
        """Its entry in the manifest."""
        return ShardEntry(
            file=self.path.name,
            length=self.preamble.length,
            sha256=self.index.sha256,
            index_sha256=self.preamble.index_sha256,
            videos=len(self.index.names),
            frames=self.index.frames,
        )


def read_shard(path: Path) -> Shard:
    """Read the index of a shard and check every offset. Raises `UserError`."""
    try:
        with open_regular(path) as file:
            stamp = FileStamp.of(file)
            preamble = read_preamble(file, length=stamp.length)
        with h5py.File(path, "r", locking=False) as content:
            index = _index(content)
            _check_pixels(content, preamble)
        _check_index(index, nbytes=preamble.nbytes)
    except FileNotFoundError:
        raise _error(path, "it is missing") from None
    except Damaged as error:
        raise _error(path, str(error)) from None
    except PermissionError as error:
        raise UserError(f"shard {path} cannot be read: {error.strerror}") from None
    except OSError as error:
        if error.strerror is not None and error.strerror.endswith("not a file"):
            raise _error(path, error.strerror) from None
        raise _error(path, f"HDF5 cannot read it ({(str(error)).splitlines()[0]})") from None
    # h5py raises many kinds of errors for unexpected content.
    except (LookupError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise _error(path, f"HDF5 cannot read it ({reason})") from None
    return Shard(path, stamp, preamble, index)


def open_shard(folder: Path, entry: ShardEntry) -> Shard:
    """Read a shard of a store and compare it with its manifest entry. Raises `UserError`."""
    shard = read_shard(folder / entry.file)
    if shard.entry != entry:
        raise _error(shard.path, "it is not the shard that the manifest names")
    return shard


def map_bytes(shard: Shard) -> NDArray[np.uint8]:
    """Map ``/bytes`` as a read-only view of the file, without HDF5. Raises `UserError`."""
    if shard.nbytes == 0:
        return np.zeros(0, np.uint8)
    start = shard.preamble.offset
    try:
        with open_regular(shard.path) as file:
            # Reading a map of a file that was cut short would end the process by SIGBUS.
            if FileStamp.of(file) != shard.stamp:
                raise _error(shard.path, "it changed since the store was opened")
            mapped = mmap.mmap(file.fileno(), start + shard.nbytes, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UserError(f"shard {shard.path} cannot be read: {error.strerror}") from None
    return np.frombuffer(mapped, np.uint8, count=shard.nbytes, offset=start)


def bytes_sha256(shard: Shard) -> str:
    """Compute the sha256 of the pixels on the disk, in constant memory."""
    with open_regular(shard.path) as file:
        return pixels_sha256(file, shard.preamble)


def _error(path: Path, problem: str) -> UserError:
    return UserError(
        f"shard {path} is damaged: {problem}; run the same tasd prep again to mend the store"
    )


def _index(file: h5py.File) -> ShardIndex:
    attributes = _mapping(file, "attributes")
    return ShardIndex(
        dataset=_text(file, "dataset"),
        ffmpeg=_text(file, "ffmpeg"),
        settings=_mapping(file, "settings"),
        attributes={key: str(text) for key, text in attributes.items()},
        sha256=_text(file, "sha256"),
        names=_strings(file, "video_name"),
        classes=_strings(file, "video_class"),
        sizes=_array(file, "video_size", "<i4"),
        first_frame=_array(file, "video_first_frame", "<i8"),
        frame_offset=_array(file, "frame_offset", "<i8"),
        frame_time=_array(file, "frame_time", "<f8"),
    )


def _check_pixels(file: h5py.File, preamble: Preamble) -> None:
    """Check that HDF5 finds the pixels where the preamble puts them."""
    dataset = _plain(file, "bytes")
    if dataset.dtype != np.uint8 or dataset.shape != (preamble.nbytes,):
        raise Damaged(f"/bytes is not {preamble.nbytes} bytes")
    if preamble.nbytes and dataset.id.get_offset() != preamble.offset:
        raise Damaged("/bytes does not lie where its first lines put it")


def _plain(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset that lies in this file and is no larger than it."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise Damaged(f"/{name} is missing or a link to elsewhere")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise Damaged(f"/{name} is no array")
    within = dataset.size == 0 or dataset.id.get_offset() is not None
    if not within or dataset.nbytes > file.id.get_filesize():
        raise Damaged(f"/{name} does not lie in the file")
    return dataset


def _array(file: h5py.File, name: str, dtype: str) -> np.ndarray:
    dataset = _plain(file, name)
    if dataset.dtype != np.dtype(dtype):
        raise Damaged(f"/{name} is of type {dataset.dtype}, not {dtype}")
    values: np.ndarray = dataset[()]
    values.flags.writeable = False
    return values


def _strings(file: h5py.File, name: str) -> tuple[str, ...]:
    dataset = _plain(file, name)
    if dataset.dtype.kind != "S":
        raise Damaged(f"/{name} is of type {dataset.dtype}, not text")
    return tuple(text.decode() for text in dataset[()])


def _text(file: h5py.File, name: str) -> str:
    value = file.attrs[name]
    if not isinstance(value, str):
        raise Damaged(f"its attribute {name} is no text")
    return value


def _mapping(file: h5py.File, name: str) -> Mapping[str, object]:
    value = json.loads(_text(file, name))
    if not isinstance(value, dict):
        raise Damaged(f"its attribute {name} is not a JSON object")
    return value


def _check_index(index: ShardIndex, *, nbytes: int) -> None:
    """Check that every part fits the rest, and that every frame lies inside the file."""
    videos, frames = len(index.names), index.frames
    shapes = {
        "video_class": ((len(index.classes),), (videos,)),
        "video_size": (index.sizes.shape, (videos, 2)),
        "video_first_frame": (index.first_frame.shape, (videos + 1,)),
        "frame_offset": (index.frame_offset.shape, (frames + 1,)),
        "frame_time": (index.frame_time.shape, (frames,)),
    }
    for name, (shape, wanted) in shapes.items():
        if shape != wanted:
            raise Damaged(f"/{name} has shape {shape} where {wanted} fits the rest")
    if not _rises(index.first_frame) or index.first_frame[-1] != frames:
        raise Damaged(f"/video_first_frame does not rise from 0 to the {frames} frames")
    if not _rises(index.frame_offset) or index.frame_offset[-1] != nbytes:
        raise Damaged(f"/frame_offset does not rise from 0 to the {nbytes} bytes")


def _rises(values: np.ndarray) -> bool:
    """Return True where values rise strictly from 0. Compares, since differences may overflow."""
    return bool(values[0] == 0 and np.all(values[1:] > values[:-1]))
