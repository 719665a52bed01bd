"""Reader of a store: videos by id, and their encoded frames."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tasd.datasets import DATASETS
from tasd.datasets.splits import class_splits
from tasd.errors import UserError
from tasd.store.format import SPLIT_NAMES, Manifest, ShardIndex, Video
from tasd.store.manifest import manifest_hash, read_manifest
from tasd.store.opened import OpenShard
from tasd.store.shard import Shard, open_shard


class Store:
    """Prepared videos on disk: their list, and their encoded frames.

    Safe to share among threads, across a fork and by pickle: a shard is opened at its first use
    and read by position. One that is written to or cut short while it is in use is refused; it is
    not mapped, since to read a map of a file that was cut short ends a process without a word.

    path: its folder. dataset: the name of its data set. settings: prep's settings.
    hash: a sha256 that names its content. videos: by id, sorted.
    splits: the class names of train, val and test, with or without videos here.

    Raises `UserError` where there is no store, or it is unfinished, damaged or of another version.
    """

    trained_on: tuple[str, ...] = ()  # no network stands behind its frames

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)
        self.dataset = self.manifest.dataset
        self.settings: Mapping[str, object] = MappingProxyType(self.manifest.settings)
        self.hash = manifest_hash(self.manifest)
        self.splits: Mapping[str, tuple[str, ...]] = _splits(self.manifest)
        self._shards = tuple(open_shard(self.path, entry) for entry in self.manifest.shards)
        self.videos: Mapping[str, Video] = _videos(self.path, self._shards)
        self._files: dict[int, OpenShard] = {}
        self._only: tuple[str, ...] | None = None

    def classes(self, *splits: str) -> dict[str, tuple[str, ...]]:
        """Return class names to video ids, of these splits or of all; only classes with videos.

        Raises `UserError` for a split that this store does not have or was not opened for.
        """
        wanted = {name for split in splits for name in self._classes_of(split)}
        found: dict[str, list[str]] = {}
        for video in self.videos.values():
            if not splits or video.class_name in wanted:
                found.setdefault(video.class_name, []).append(video.id)
        return {name: tuple(found[name]) for name in sorted(found)}

    def only(self, *splits: str) -> "Store":
        """Return the same store, which refuses any video or class of another split."""
        allowed = {split: self._classes_of(split) for split in splits}
        names = {name for classes in allowed.values() for name in classes}
        part = self._copy()
        part._only = splits
        part.splits = MappingProxyType(allowed)
        part.videos = MappingProxyType(
            {key: video for key, video in self.videos.items() if video.class_name in names}
        )
        return part

    @property
    def groups(self) -> Mapping[str, str]:
        """The source that each video was cut from, by the conventions of its data set."""
        group = DATASETS[self.dataset].group
        return {key: group(video.name) for key, video in self.videos.items()}

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards that hold its videos."""
        return tuple(self._shards[n] for n in sorted({v.shard for v in self.videos.values()}))

    def jpegs(self, video: str, frames: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Return the encoded frames with these indices.

        Raises `UserError` for a video that is missing, or in no split that was opened, and where
        its shard changed.
        """
        entry = self._video(video)
        first = entry.first_frame
        offsets = self._shards[entry.shard].index.frame_offset
        edges = offsets[first : first + entry.frames + 1].tolist()
        shard = self._open(entry.shard)
        assert all(0 <= frame < entry.frames for frame in frames), (video, frames)
        return shard.read([(edges[frame], edges[frame + 1]) for frame in frames])

    def frame_times(self, video: str) -> NDArray[np.float64]:
        """Return the time of each stored frame, in seconds from the start of its video."""
        entry = self._video(video)
        times = self._shards[entry.shard].index.frame_time
        return times[entry.first_frame : entry.first_frame + entry.frames]

    def close(self) -> None:
        """Release the files; what was read stays."""
        self._files.clear()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        return _reopened, (self.path, self.hash, self._only)

    def _copy(self) -> "Store":
        """Return another reader of the same index; `copy.copy` would read it from the disk again.

        The files are its own, so that to close the one leaves the other open.
        """
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__, _files={})
        return same

    def _classes_of(self, split: str) -> tuple[str, ...]:
        if split in self.splits:
            return self.splits[split]
        if self._only is not None:
            opened = ", ".join(self._only)
            raise UserError(f"the store {self.path} was opened for {opened} only, not for {split}")
        raise UserError(
            f"the store {self.path} has no split {split!r}; it has {', '.join(self.splits)}"
        )

    def _video(self, video: str) -> Video:
        if video in self.videos:
            return self.videos[video]
        allowed = "" if self._only is None else f" in its splits {', '.join(self._only)}"
        raise UserError(f"the store {self.path} has no video {video!r}{allowed}; see tasd show")

    def _open(self, shard: int) -> OpenShard:
        # No lock: two threads may both open a shard, which is harmless; a lock held by another
        # thread during a fork would never be released in the child.
        found = self._files.get(shard)
        return found or self._files.setdefault(shard, OpenShard(self._shards[shard]))


def _reopened(path: Path, hash: str, only: tuple[str, ...] | None) -> Store:
    store = Store(path)
    if store.hash != hash:
        raise UserError(f"the store {path} changed while it was in use; start again")
    return store if only is None else store.only(*only)


def _splits(manifest: Manifest) -> Mapping[str, tuple[str, ...]]:
    if manifest.splits is not None:
        return MappingProxyType({split: manifest.splits[split] for split in SPLIT_NAMES})
    return class_splits(manifest.dataset)


def _videos(path: Path, shards: Sequence[Shard]) -> Mapping[str, Video]:
    videos: dict[str, Video] = {}
    for number, shard in enumerate(shards):
        for video in _videos_of(shard.index, number):
            if videos.setdefault(video.id, video) is not video:
                raise UserError(
                    f"the store {path} holds video {video.id!r} twice; prepare it again"
                )
    ordered = sorted(videos)
    if ordered != list(videos):
        videos = {key: videos[key] for key in ordered}
    return MappingProxyType(videos)


def _videos_of(index: ShardIndex, number: int) -> Iterator[Video]:
    """Yield the videos of shard ``number``.

    Equal sizes and names of classes are one object, so that a large store takes little memory.
    """
    classes: dict[str, str] = {}
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    edges, frames = index.first_frame.tolist(), np.diff(index.first_frame).tolist()
    rows = zip(index.classes, index.names, index.sizes.tolist(), edges, frames, strict=False)
    for class_name, name, (height, width), first, count in rows:
        class_name = classes.setdefault(class_name, class_name)
        size = sizes.setdefault((height, width), (height, width))
        yield Video(f"{class_name}/{name}", class_name, count, size, number, first)
