"""The plan of a prep: which videos go into which shard.

The plan is written to `PLAN` before any video is decoded. So a prep that was killed can be
continued, and the same videos give the same shards whatever the number of workers. A shard in the
plan keeps its videos: those found later go into new shards with higher numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prep.clip import FrameSettings
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tasd.files import read_json
from tasd.store import write_json

PLAN = "plan.json"
PLAN_VERSION = 1
# Typical values of Kinetics and UCF101, to estimate the size of shards before decoding.
BYTES_PER_PIXEL = 0.2
JPEG_OVER_VIDEO = 6
USUAL_FPS = 30
# Enough shards to keep many workers busy, each still worth a file.
TARGET_SHARDS = 32
LEAST_SHARD_BYTES = 8 << 20

Splits = dict[str, tuple[str, ...]]
FileStamp = tuple[str, int, int]  # path below the root, bytes, time of last change in nanoseconds


@dataclass(frozen=True)
class ShardPlan:
    """The videos of one shard, by id.

    stamps: those of the source files when the shard was written; empty before that.
    """

    number: int
    videos: tuple[str, ...]
    stamps: tuple[FileStamp, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All shards of a store; ``splits`` only for a data set without published splits."""

    shards: tuple[ShardPlan, ...] = ()
    splits: Splits | None = None

    def with_stamps(self, number: int, stamps: tuple[FileStamp, ...]) -> "Plan":
        """Return the plan with the stamps of the sources of a shard that was written."""
        shards = (replace(s, stamps=stamps) if s.number == number else s for s in self.shards)
        return replace(self, shards=tuple(shards))


def plan_shards(
    videos: Sequence[SourceVideo],
    known: Sequence[ShardPlan],
    *,
    settings: FrameSettings,
    shard_mib: int = 256,
) -> list[ShardPlan]:
    """Assign every video to exactly one shard: the one it is in already, or else a new one.

    shard_mib: about the largest size of a shard; new ones are smaller where there would be few.
    """
    placed = {video for shard in known for video in shard.videos}
    new = [video for video in videos if video.id not in placed]
    weights = [prepared_bytes(video, settings) for video in new]
    target = max(LEAST_SHARD_BYTES, sum(weights) // TARGET_SHARDS)
    first = 1 + max((shard.number for shard in known), default=-1)
    groups = _groups(new, weights, most=min(shard_mib << 20, target))
    return [*known, *(ShardPlan(first + number, ids) for number, ids in enumerate(groups))]


def prepared_bytes(video: SourceVideo, settings: FrameSettings) -> int:
    """Estimate the bytes of the frames of a video without opening it."""
    frame = BYTES_PER_PIXEL * settings.size**2
    if settings.fps is None and settings.frames is not None:
        return int(settings.frames * frame)
    share = 1.0 if settings.fps is None else min(1.0, settings.fps / USUAL_FPS)
    return int(frame + share * JPEG_OVER_VIDEO * video.size_bytes)


def _groups(
    videos: Sequence[SourceVideo], weights: Sequence[int], *, most: int
) -> Iterator[tuple[str, ...]]:
    group: list[str] = []
    weight = 0
    for video, own in zip(videos, weights, strict=True):
        if group and weight + own > most:
            yield tuple(group)
            group, weight = [], 0
        group.append(video.id)
        weight += own
    if group:
        yield tuple(group)


def read_plan(folder: Path) -> Plan | None:
    """Read the plan of an earlier prep; None where there is none that can be read."""
    try:
        content = read_json(
            folder / PLAN, format=None, version=PLAN_VERSION, what="a plan", way_out="delete it"
        )
        shards = tuple(_shard_plan(entry) for entry in content["shards"])
        splits = content["splits"]
        return Plan(shards, splits and {name: tuple(splits[name]) for name in splits})
    except (UserError, ValueError, KeyError, TypeError):
        return None


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan atomically."""
    shards = [
        {"number": shard.number, "videos": shard.videos, "seen": shard.stamps}
        for shard in plan.shards
    ]
    write_json(folder / PLAN, {"version": PLAN_VERSION, "shards": shards, "splits": plan.splits})


def _shard_plan(entry: dict[str, Any]) -> ShardPlan:
    stamps = tuple((str(path), int(size), int(when)) for path, size, when in entry["seen"])
    return ShardPlan(int(entry["number"]), tuple(map(str, entry["videos"])), stamps)
