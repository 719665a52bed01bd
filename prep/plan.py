"""Which video goes into which shard, and which shards are finished already.

A plan is made once and written down before any work (`PLAN`), so that a run that was killed is
continued and not begun anew, and so that the same videos give the same shards whatever the
workers. What a plan holds stays: videos found later go into new shards, behind the old ones.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prep.clip import FrameSettings
from tasd.datasets import SourceVideo
from tasd.store import write_json

PLAN = "plan.json"
PLAN_VERSION = 1
# For sizing shards before anything is decoded: what these come to in Kinetics and UCF101.
BYTES_PER_PIXEL = 0.2
JPEG_OVER_VIDEO = 6
USUAL_FPS = 30
# Enough shards to keep many workers busy, each still worth a file.
SHARDS_WISHED = 32
LEAST_SHARD_BYTES = 8 << 20

Splits = dict[str, tuple[str, ...]]
Seen = tuple[str, int, int]  # path below the root, bytes, time of the last change in nanoseconds


@dataclass(frozen=True)
class ShardPlan:
    """The videos of one shard, by id.

    seen: the source of each as it was when the shard was written; empty while it is not.
    """

    number: int
    videos: tuple[str, ...]
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All shards of a store, and how the classes of a person's own folder are split."""

    shards: tuple[ShardPlan, ...] = ()
    splits: Splits | None = None

    def with_seen(self, number: int, seen: tuple[Seen, ...]) -> "Plan":
        """The same plan once a shard is written, from these sources."""
        shards = (replace(s, seen=seen) if s.number == number else s for s in self.shards)
        return replace(self, shards=tuple(shards))


def plan_shards(
    videos: Sequence[SourceVideo],
    known: Sequence[ShardPlan],
    *,
    settings: FrameSettings,
    shard_mib: int = 256,
) -> list[ShardPlan]:
    """Every video in exactly one shard: where it is already, else in a new one.

    shard_mib: how large a shard may become, about; smaller where there would be few of them.
    """
    placed = {video for shard in known for video in shard.videos}
    new = [video for video in videos if video.id not in placed]
    weights = [prepared_bytes(video, settings) for video in new]
    wished = max(LEAST_SHARD_BYTES, sum(weights) // SHARDS_WISHED)
    first = 1 + max((shard.number for shard in known), default=-1)
    groups = _groups(new, weights, most=min(shard_mib << 20, wished))
    return [*known, *(ShardPlan(first + number, ids) for number, ids in enumerate(groups))]


def prepared_bytes(video: SourceVideo, settings: FrameSettings) -> int:
    """About how many bytes the frames of a video will take; a guess from what is known unopened."""
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
    """The plan that an earlier prep wrote; None where there is none that can be read."""
    try:
        content = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        if content["version"] != PLAN_VERSION:
            return None
        shards = tuple(_shard_plan(entry) for entry in content["shards"])
        splits = content["splits"]
        return Plan(shards, splits and {name: tuple(splits[name]) for name in splits})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_plan(folder: Path, plan: Plan) -> None:
    """Write the plan down, atomically."""
    write_json(folder / PLAN, {"version": PLAN_VERSION, **asdict(plan)})


def _shard_plan(entry: dict[str, Any]) -> ShardPlan:
    seen = tuple((str(path), int(size), int(when)) for path, size, when in entry["seen"])
    return ShardPlan(int(entry["number"]), tuple(map(str, entry["videos"])), seen)
