"""Check of a store, for ``tasd check``: compare its content with its own hashes and sizes."""

import itertools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from prep.consistency import differences
from prep.jpeg import BrokenJpeg, check_decodes, jpeg_size
from prep.shard import frames_digest
from tasd.errors import UserError
from tasd.progress import counted, track
from tasd.store import MANIFEST, Shard, Store, bytes_sha256, open_shard, read_manifest
from tasd.store.manifest import is_sealed
from tasd.store.shard import map_bytes

UNSEALED = (
    "its manifest, of an earlier version, has no sha256 of itself; the same tasd prep adds one"
)


@dataclass(frozen=True)
class Fault:
    """A fault in a store; ``video`` is empty where it concerns a whole shard."""

    shard: str
    video: str
    reason: str

    def __str__(self) -> str:
        return f"{self.shard}{', ' + self.video if self.video else ''}: {self.reason}"


def check_store(folder: Path, *, deep: bool) -> list[Fault]:
    """Check every hash, offset and JPEG of a store; ``deep`` decodes every JPEG as well.

    Returns the faults found. Raises `UserError` where there is no finished store.
    """
    manifest = read_manifest(folder)
    shards = track(manifest.shards, total=len(manifest.shards), what="checking", unit="shards")
    faults: list[Fault] = []
    opened: list[Shard] = []
    for entry in shards:
        try:
            shard = open_shard(folder, entry)
        except UserError as error:
            faults.append(Fault(entry.file, "", str(error)))
        else:
            opened.append(shard)
            faults += _check_shard(shard, deep=deep)
    if len(opened) == len(manifest.shards):
        faults += [Fault(MANIFEST, "", said) for said in differences(folder, manifest, opened)]
    if not faults:
        faults += _check_across_shards(folder)
    return faults


def _check_shard(shard: Shard, *, deep: bool) -> Iterator[Fault]:
    """Yield the faults of one shard, each with its video where that is known."""
    whole = bytes_sha256(shard) == shard.index.sha256
    if whole and not deep:
        return
    faults = list(_check_videos(shard, deep=deep))
    yield from faults
    if not whole and not faults:
        yield Fault(shard.path.name, "", "its frames are not those that were written")


def _check_videos(shard: Shard, *, deep: bool) -> Iterator[Fault]:
    digests = _digests(shard)
    fault_of = _decode_fault if deep else _structure_fault
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for video, frames, size in _videos(shard):
            reasons = threads.map(fault_of, frames, [size] * len(frames))
            broken = [f"frame {at}: {reason}" for at, reason in enumerate(reasons) if reason]
            if digests.get(video, "") not in ("", frames_digest(frames)):
                broken.append("its frames are not those that were written")
            if broken:
                yield Fault(shard.path.name, video, broken[0])


def _digests(shard: Shard) -> dict[str, str]:
    """Return the digest of each video's frames; empty where the shard has none that read so."""
    try:
        found = json.loads(shard.index.attributes.get("digests", "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _videos(shard: Shard) -> Iterator[tuple[str, list[bytes], tuple[int, int]]]:
    """Yield the id, the frames, and height and width of each video of a shard."""
    index = shard.index
    pixels = map_bytes(shard)
    for number, (name, class_name) in enumerate(zip(index.names, index.classes, strict=True)):
        first, last = index.first_frame[number : number + 2]
        bounds = index.frame_offset[first : last + 1]
        frames = [pixels[a:b].tobytes() for a, b in itertools.pairwise(bounds)]
        height, width = map(int, index.sizes[number])
        yield f"{class_name}/{name}", frames, (height, width)


def _structure_fault(jpeg: bytes, size: tuple[int, int]) -> str:
    """Describe a fault in the structure of a frame; empty where there is none."""
    try:
        found = jpeg_size(jpeg)
    except BrokenJpeg as error:
        return str(error)
    return "" if found == size else f"it is {found[0]} x {found[1]}, not {size[0]} x {size[1]}"


def _decode_fault(jpeg: bytes, size: tuple[int, int]) -> str:
    try:
        check_decodes(jpeg)
    except BrokenJpeg as error:
        return str(error)
    return _structure_fault(jpeg, size)


def _check_across_shards(folder: Path) -> list[Fault]:
    """Find faults that no single shard shows, such as a video that is in two of them."""
    try:
        Store(folder).close()
    except UserError as error:
        return [Fault(MANIFEST, "", str(error))]
    return []


def summary(folder: Path, *, deep: bool) -> str:
    """Return one line about the content of a store without faults."""
    with Store(folder) as store:
        frames = sum(video.frames for video in store.videos.values())
        checked = "every frame decodes" if deep else "every byte is as it was written"
        sizes = {"video": len(store.videos), "frame": frames, "shard": len(store.manifest.shards)}
        counts = ", ".join(counted(number, noun) for noun, number in sizes.items())
        remark = "" if is_sealed(folder) else f"; {UNSEALED}"
        return f"{folder}: {counts}: {checked}{remark}"
