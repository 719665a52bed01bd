"""Writer of one shard: streamed, atomic, and the same bytes for the same input."""

import hashlib
import shutil
import tempfile
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import h5py
import numpy as np

from tasd.files import replacing
from tasd.store.format import (
    FORMAT_VERSION,
    SHARD_PATTERN,
    ShardEntry,
    ShardIndex,
    canonical_json,
    fsync,
)
from tasd.store.preamble import PREAMBLE_BYTES, Preamble, index_sha256
from tasd.store.sparse import SparseFile

# Fixed bounds, so that another release of HDF5 writes the same bytes.
LIBVER = ("earliest", "v110")
COPY_BYTES = 4 << 20
# Temporary names of `tasd.files.replacing`, and of version 0.1.
LEFTOVERS = (
    *(".shard-*.h5.*.writing", ".*.json.*.writing"),
    *("shard-*.h5.*.tmp", "*.json.*.tmp"),
)


class ShardWriter:
    """Writer of one shard, which appears under its name when the ``with`` block ends well.

    Frames are spooled to an unnamed file in the same folder, because HDF5 must know the length
    of a contiguous dataset beforehand. So memory stays constant, and a killed writer leaves at
    most one temporary file (see `remove_leftovers`).

    attributes: JSON texts to store, such as the source files; may be added to until the end.
    entry: the shard's entry in the manifest, once it is written.
    """

    def __init__(
        self,
        path: Path,
        *,
        dataset: str,
        settings: Mapping[str, object],
        ffmpeg: str,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        assert SHARD_PATTERN.fullmatch(path.name), path.name
        self.path = path
        self.attributes = dict(attributes or {})
        self.entry: ShardEntry | None = None
        self._about = (dataset, ffmpeg, dict(settings))
        self._spool = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115
        self._hash = hashlib.sha256()
        self._names: list[str] = []
        self._classes: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        self._first_frame = array("q", [0])
        self._frame_offset = array("q", [0])
        self._frame_time = array("d")

    def add(
        self,
        *,
        class_name: str,
        name: str,
        jpegs: Iterable[bytes | memoryview],
        times: Sequence[float],
        size: tuple[int, int],
    ) -> None:
        """Append one video: encoded frames, their times (seconds), and height and width."""
        for jpeg in jpegs:
            assert len(jpeg), f"an empty frame in {class_name}/{name}"
            self._spool.write(jpeg)
            self._hash.update(jpeg)
            self._frame_offset.append(self._frame_offset[-1] + len(jpeg))
        self._names.append(name)
        self._classes.append(class_name)
        self._sizes.append(size)
        self._frame_time.extend(times)
        assert self.frames == len(self._frame_time), f"{class_name}/{name}: one time a frame"
        assert self.frames > self._first_frame[-1], f"{class_name}/{name} has no frame"
        self._first_frame.append(self.frames)

    @property
    def frames(self) -> int:
        """Number of frames added so far."""
        return len(self._frame_offset) - 1

    @property
    def videos(self) -> int:
        """Number of videos added so far."""
        return len(self._names)

    @property
    def nbytes(self) -> int:
        """Bytes of JPEG added so far."""
        return self._frame_offset[-1]

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._spool:
            if kind is None:
                self.entry = self._commit()

    def _commit(self) -> ShardEntry:
        index = self._index()
        # The temporary name is unique: a worker presumed dead may still write the same shard.
        with replacing(self.path) as temporary, temporary.open("xb+") as file:
            preamble = write_index(file, index)
            file.seek(preamble.offset)
            self._spool.seek(0)
            shutil.copyfileobj(self._spool, file, COPY_BYTES)
        fsync(self.path.parent)
        return ShardEntry(
            file=self.path.name,
            length=preamble.length,
            sha256=index.sha256,
            index_sha256=preamble.index_sha256,
            videos=self.videos,
            frames=self.frames,
        )

    def _index(self) -> ShardIndex:
        dataset, ffmpeg, settings = self._about
        return ShardIndex(
            dataset=dataset,
            ffmpeg=ffmpeg,
            settings=settings,
            attributes=self.attributes,
            sha256=self._hash.hexdigest(),
            names=tuple(self._names),
            classes=tuple(self._classes),
            sizes=np.array(self._sizes, dtype="<i4").reshape(-1, 2),
            first_frame=np.array(self._first_frame, dtype="<i8"),
            frame_offset=np.array(self._frame_offset, dtype="<i8"),
            frame_time=np.array(self._frame_time, dtype="<f8"),
        )


def write_index(file: BinaryIO, index: ShardIndex) -> Preamble:
    """Write a shard except its pixels, which belong at the offset of the returned preamble."""
    nbytes = int(index.frame_offset[-1])
    image = SparseFile()
    offset = _write_hdf5(image, index)
    image.copy_to(file)
    sha256 = index_sha256(file, offset=offset, nbytes=nbytes)
    preamble = Preamble(offset, nbytes, image.length, sha256)
    file.seek(0)
    file.write(preamble.encode())
    return preamble


def _write_hdf5(image: SparseFile, index: ShardIndex) -> int:
    """Write the HDF5 part and return the offset of the pixels."""
    arrays = {
        "video_name": _text(index.names),
        "video_class": _text(index.classes),
        "video_size": index.sizes,
        "video_first_frame": index.first_frame,
        "frame_offset": index.frame_offset,
        "frame_time": index.frame_time,
    }
    with h5py.File(image, "w", libver=LIBVER, userblock_size=PREAMBLE_BYTES) as file:
        file.attrs["format_version"] = np.int64(FORMAT_VERSION)
        file.attrs["dataset"] = index.dataset
        file.attrs["ffmpeg"] = index.ffmpeg
        file.attrs["settings"] = canonical_json(index.settings)
        file.attrs["attributes"] = canonical_json(index.attributes)
        file.attrs["sha256"] = index.sha256
        for name, values in arrays.items():
            file.create_dataset(name, data=values, track_times=False)
        offset = _reserve_bytes(file, int(index.frame_offset[-1]))
    return image.length if offset is None else offset


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files of killed writers. Only while nothing else writes to the store."""
    for pattern in LEFTOVERS:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def _text(values: Sequence[str]) -> np.ndarray:
    encoded = [value.encode() for value in values]
    width = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", width))


def _reserve_bytes(file: h5py.File, length: int) -> int | None:
    """Reserve space for ``/bytes`` without writing it; the low-level API fixes its place."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    creation.set_obj_track_times(False)
    space = h5py.h5s.create_simple((length,))
    dataset = h5py.h5d.create(file.id, b"bytes", h5py.h5t.STD_U8LE, space, dcpl=creation)
    # An empty dataset has no place; with a user block HDF5 reports a wrong offset for it.
    return int(dataset.get_offset()) if length else None
