"""Small stores of bytes that are no JPEGs: the store does not decode them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasd.store import Manifest, ShardEntry, ShardWriter, shard_name, write_manifest

SPLITS = {"train": ("run", "sit"), "val": ("wave",), "test": ("smile",)}


@dataclass(frozen=True)
class Made:
    """One video to write."""

    class_name: str
    name: str
    jpegs: tuple[bytes, ...] = (b"one", b"another", b"third")
    size: tuple[int, int] = (4, 6)

    @property
    def id(self) -> str:
        return f"{self.class_name}/{self.name}"

    @property
    def times(self) -> list[float]:
        return [frame / 25 for frame in range(len(self.jpegs))]


VIDEOS = tuple(
    Made(name, f"{name} {number}", tuple(f"{name}{number}{f}".encode() * 9 for f in range(3)))
    for name in ("run", "sit", "wave", "smile")
    for number in range(3)
)


def write_videos(writer: ShardWriter, videos: Sequence[Made]) -> None:
    """Add videos to a writer."""
    for video in videos:
        writer.add(
            class_name=video.class_name,
            name=video.name,
            jpegs=video.jpegs,
            times=video.times,
            size=video.size,
        )


def write_shard(path: Path, videos: Sequence[Made], **attributes: str) -> ShardEntry:
    """Write one shard with these videos."""
    settings = {"frames": 3, "resize": [4, 6]}
    with ShardWriter(path, dataset="folder", settings=settings, ffmpeg="7.0") as writer:
        write_videos(writer, videos)
        writer.attributes.update(attributes)
    assert writer.entry is not None
    return writer.entry


def write_entries(folder: Path, entries: Sequence[ShardEntry]) -> Path:
    """Write a manifest for these shards and return its folder."""
    write_manifest(folder, Manifest("folder", "7.0", {"frames": 3}, tuple(entries), SPLITS))
    return folder


def write_store(folder: Path, *shards: Sequence[Made]) -> Path:
    """Write a store with these videos; by default twelve, not in the order of names."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = shards or (VIDEOS[6:], VIDEOS[:6])
    return write_entries(
        folder, [write_shard(folder / shard_name(n), videos) for n, videos in enumerate(shards)]
    )
