"""Reading one shard: nothing in the file is believed before it is checked."""

import hashlib
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from tasd.errors import UserError
from tasd.store.format import FORMAT_VERSION, ShardEntry, ShardIndex

READ_BYTES = 4 << 20


class Damaged(Exception):
    """What is wrong with a shard; becomes a `UserError` that names the file."""


@dataclass(frozen=True)
class FileStamp:
    """Which file a path led to, and in which state."""

    length: int
    inode: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "FileStamp":
        """The stamp of a file as it is now."""
        status = path.stat()
        return cls(status.st_size, status.st_ino, status.st_mtime_ns)


@dataclass(frozen=True, eq=False)
class Shard:
    """One shard whose index was read and checked.

    offset: where ``/bytes`` begins in the file.
    """

    path: Path
    stamp: FileStamp
    index: ShardIndex
    offset: int


def read_shard(path: Path) -> Shard:
    """The index of a shard, every offset checked. Raises `UserError` for a file that is not one."""
    try:
        stamp = FileStamp.of(path)
        with h5py.File(path, "r", locking=False) as file:
            _check_version(file)
            index = _index(file)
            offset = _offset(file["bytes"])
        _check_index(index, offset=offset, length=stamp.length)
    except FileNotFoundError:
        raise _error(path, "it is missing") from None
    except Damaged as error:
        raise _error(path, str(error)) from None
    # What h5py raises for a damaged file depends on where the damage is.
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise _error(path, f"HDF5 cannot read it: {error}".splitlines()[0]) from None
    return Shard(path, stamp, index, offset)


def open_shard(folder: Path, entry: ShardEntry) -> Shard:
    """A shard of a store, held to what the manifest says of it. Raises `UserError`."""
    path = folder / entry.file
    if path.is_file() and path.stat().st_size != entry.length:
        raise _error(
            path, f"it has {path.stat().st_size} bytes where the manifest says {entry.length}"
        )
    shard = read_shard(path)
    index = shard.index
    if (len(index.names), index.frames) != (entry.videos, entry.frames):
        raise _error(path, "its number of videos or frames is not that of the manifest")
    if index.sha256 != entry.sha256 or index.digest() != entry.index_sha256:
        raise _error(path, "its index is not the one that the manifest names")
    return shard


def map_bytes(shard: Shard) -> NDArray[np.uint8]:
    """``/bytes`` as a view of the file, read only, without HDF5. Raises `UserError`."""
    length = int(shard.index.frame_offset[-1])
    if length == 0:
        return np.zeros(0, np.uint8)
    with shard.path.open("rb") as file:
        # A file cut short after this line was read would end the process by SIGBUS.
        if FileStamp.of(shard.path) != shard.stamp:
            raise _error(shard.path, "it changed since the store was opened")
        mapped = mmap.mmap(file.fileno(), shard.offset + length, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, np.uint8, count=length, offset=shard.offset)


def bytes_sha256(shard: Shard) -> str:
    """The sha256 of the pixels as they are on the disk now, in flat memory."""
    digest = hashlib.sha256()
    left = int(shard.index.frame_offset[-1])
    with shard.path.open("rb") as file:
        file.seek(shard.offset)
        while left and (piece := file.read(min(left, READ_BYTES))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def _error(path: Path, problem: str) -> UserError:
    return UserError(
        f"shard {path} is damaged: {problem}; run the same tasd prep again to mend the store"
    )


def _check_version(file: h5py.File) -> None:
    version = file.attrs.get("format_version")
    if version is None:
        raise Damaged("it is an HDF5 file, but not of tasd")
    if version != FORMAT_VERSION:
        raise Damaged(
            f"it has format version {version} where this release reads version {FORMAT_VERSION}"
        )


def _index(file: h5py.File) -> ShardIndex:
    attributes = file.attrs
    return ShardIndex(
        dataset=str(attributes["dataset"]),
        ffmpeg=str(attributes["ffmpeg"]),
        settings=_mapping(attributes["settings"]),
        attributes={key: str(text) for key, text in _mapping(attributes["attributes"]).items()},
        sha256=str(attributes["sha256"]),
        names=_strings(file, "video_name"),
        classes=_strings(file, "video_class"),
        sizes=_array(file, "video_size", "<i4"),
        first_frame=_array(file, "video_first_frame", "<i8"),
        frame_offset=_array(file, "frame_offset", "<i8"),
        frame_time=_array(file, "frame_time", "<f8"),
    )


def _offset(dataset: h5py.Dataset) -> int:
    if dataset.shape == (0,):
        return 0
    offset = dataset.id.get_offset()
    if offset is None or dataset.dtype != np.uint8 or dataset.ndim != 1:
        raise Damaged("/bytes is not one contiguous dataset of bytes")
    return int(offset)


def _plain(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset that lies in this file and is no larger than it."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise Damaged(f"/{name} is missing or a link to elsewhere")
    dataset = file[name]
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
    return tuple(text.decode() for text in _plain(file, name)[()])


def _mapping(text: str) -> Mapping[str, object]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise Damaged("its settings are not a JSON object")
    return value


def _check_index(index: ShardIndex, *, offset: int, length: int) -> None:
    """Every part fits the rest, and every frame lies inside the file."""
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
    if not _rises(index.frame_offset):
        raise Damaged("/frame_offset does not rise from 0")
    if offset + int(index.frame_offset[-1]) > length:
        raise Damaged(f"its frames end beyond the {length} bytes of the file")


def _rises(values: np.ndarray) -> bool:
    """From 0, every step upwards; compared, because a difference of wild values may overflow."""
    return bool(values[0] == 0 and np.all(values[1:] > values[:-1]))
