"""Names and data classes of the store, format version 1, as described in docs/store-format.md."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasd.files import as_json

FORMAT = "tasd store"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
REPORT = "report.json"
SHARD_PATTERN = re.compile(r"shard-\d{5,}\.h5")
SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Video:
    """One prepared video, and its place in a store.

    id: ``class/name``, unique in a store.
    frames: number of stored frames.
    size: height and width of the stored frames.
    shard, first_frame: index of its shard in the manifest, and of its first frame there.
    """

    id: str
    class_name: str
    frames: int
    size: tuple[int, int]
    shard: int
    first_frame: int

    @property
    def name(self) -> str:
        """The id without its class."""
        return self.id.removeprefix(f"{self.class_name}/")


@dataclass(frozen=True)
class ShardEntry:
    """The manifest's entry of one shard.

    length: of the whole file, in bytes.
    sha256: of ``/bytes``. index_sha256: of the rest, without the preamble.
    """

    file: str
    length: int
    sha256: str
    index_sha256: str
    videos: int
    frames: int


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """The content of a shard except its pixels, with videos in the order of writing.

    attributes: the writer's own notes (JSON texts), such as the source files.
    frame_offset: frame f is ``bytes[frame_offset[f]:frame_offset[f + 1]]``; one more than frames.
    first_frame: video v holds frames ``first_frame[v]`` up to ``first_frame[v + 1]``.
    sizes: height and width of each video. frame_time: seconds from the start of its video.
    """

    dataset: str
    ffmpeg: str
    settings: Mapping[str, object]
    attributes: Mapping[str, str]
    sha256: str
    names: tuple[str, ...]
    classes: tuple[str, ...]
    sizes: NDArray[np.int32]
    first_frame: NDArray[np.int64]
    frame_offset: NDArray[np.int64]
    frame_time: NDArray[np.float64]

    @property
    def frames(self) -> int:
        """Number of frames in the shard."""
        return len(self.frame_offset) - 1


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json, whose presence makes a folder a store.

    dataset: kinetics, ucf101, hmdb51 or folder.
    ffmpeg: version that prepared the store. settings: prep's settings.
    splits: class names of train, val and test, where no published list has them.
    """

    dataset: str
    ffmpeg: str
    settings: dict[str, object]
    shards: tuple[ShardEntry, ...]
    splits: dict[str, tuple[str, ...]] | None = field(default=None)


def shard_name(number: int) -> str:
    """Return the file name of a shard, as in ``shard-00000.h5``."""
    return f"shard-{number:05d}.h5"


def canonical_json(value: object) -> str:
    """Return the same text for the same value, whatever the order of its keys."""
    return as_json(value, sort_keys=True, separators=(",", ":"), ascii=True)


def fsync(path: Path) -> None:
    """Wait until a file, or the list of files of a folder, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
