"""``tasd check``: read a store back and hold it against what it says of itself."""

import itertools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from prep.jpeg import BrokenJpeg, check_decodes, jpeg_size
from prep.progress import counted
from prep.shard import frames_digest
from tasd.errors import UserError
from tasd.progress import track
from tasd.store import MANIFEST, Shard, Store, bytes_sha256, open_shard, read_manifest
from tasd.store.shard import map_bytes


@dataclass(frozen=True)
class Fault:
    """Something in a store that is not as it should be; no video where a whole shard is meant."""

    shard: str
    video: str
    reason: str

    def __str__(self) -> str:
        return f"{self.shard}{', ' + self.video if self.video else ''}: {self.reason}"


def check_store(folder: Path, *, deep: bool) -> list[Fault]:
    """Every hash, offset and JPEG of a store; ``deep`` decodes every JPEG as well.

    Raises `UserError` where there is no finished store.
    """
    manifest = read_manifest(folder)
    shards = track(manifest.shards, total=len(manifest.shards), what="checking", unit="shards")
    faults: list[Fault] = []
    for entry in shards:
        try:
            shard = open_shard(folder, entry)
        except UserError as error:
            faults.append(Fault(entry.file, "", str(error)))
        else:
            faults += _check_shard(shard, deep=deep)
    if not faults:
        faults += _check_whole(folder)
    return faults


def _check_shard(shard: Shard, *, deep: bool) -> Iterator[Fault]:
    """The faults of one shard, each laid at the door of a video where that can be told."""
    whole = bytes_sha256(shard) == shard.index.sha256
    if whole and not deep:
        return
    faults = list(_check_videos(shard, deep=deep))
    yield from faults
    if not whole and not faults:
        yield Fault(shard.path.name, "", "its frames are not those that were written")


def _check_videos(shard: Shard, *, deep: bool) -> Iterator[Fault]:
    digests = json.loads(shard.index.attributes.get("digests", "{}"))
    look = _decoded if deep else _walked
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for video, frames, size in _videos(shard):
            reasons = threads.map(look, frames, [size] * len(frames))
            broken = [f"frame {at}: {reason}" for at, reason in enumerate(reasons) if reason]
            if digests.get(video, "") not in ("", frames_digest(frames)):
                broken.append("its frames are not those that were written")
            if broken:
                yield Fault(shard.path.name, video, broken[0])


def _videos(shard: Shard) -> Iterator[tuple[str, list[bytes], tuple[int, int]]]:
    """Id, frames, and height and width of each video of a shard."""
    index = shard.index
    pixels = map_bytes(shard)
    for number, (name, class_name) in enumerate(zip(index.names, index.classes, strict=True)):
        first, last = index.first_frame[number : number + 2]
        bounds = index.frame_offset[first : last + 1]
        frames = [pixels[a:b].tobytes() for a, b in itertools.pairwise(bounds)]
        height, width = map(int, index.sizes[number])
        yield f"{class_name}/{name}", frames, (height, width)


def _walked(jpeg: bytes, size: tuple[int, int]) -> str:
    """What is wrong with the structure of a frame; empty for nothing."""
    try:
        found = jpeg_size(jpeg)
    except BrokenJpeg as error:
        return str(error)
    return "" if found == size else f"it is {found[0]} x {found[1]}, not {size[0]} x {size[1]}"


def _decoded(jpeg: bytes, size: tuple[int, int]) -> str:
    try:
        check_decodes(jpeg)
    except BrokenJpeg as error:
        return str(error)
    return _walked(jpeg, size)


def _check_whole(folder: Path) -> list[Fault]:
    """What no shard can know alone, such as a video that is in two of them."""
    try:
        Store(folder).close()
    except UserError as error:
        return [Fault(MANIFEST, "", str(error))]
    return []


def summary(folder: Path, *, deep: bool) -> str:
    """Say in one line what a sound store holds."""
    with Store(folder) as store:
        frames = sum(video.frames for video in store.videos.values())
        looked = "every frame decodes" if deep else "every byte is as it was written"
        sizes = {"video": len(store.videos), "frame": frames, "shard": len(store.manifest.shards)}
        counts = ", ".join(counted(number, noun) for noun, number in sizes.items())
        return f"{folder}: {counts}: {looked}"
