"""A prep that is tried and not begun: videos, classes, store and hours, for ``--dry-run``."""

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from prep.clip import Clip
from prep.decode import Decoder
from prep.plan import Splits, prepared_bytes, read_plan
from prep.report import USUAL_EPISODES, Remark, remark_on
from prep.shard import PrepSettings, clips_of, fingerprint, groups
from prep.sources import Sources
from tasd.datasets import SourceVideo
from tasd.datasets.splits import class_splits
from tasd.progress import track
from tasd.store.format import SPLIT_NAMES

SAMPLE = 20  # videos that are decoded


@dataclass(frozen=True)
class Sample:
    """The videos that were decoded: number, seconds of one worker, bytes of their frames.

    weight: bytes of frames that were to be expected without opening the files. lost: videos that
    could not be decoded.
    """

    videos: int
    seconds: float
    frame_bytes: int
    weight: int
    lost: int
    remarks: tuple[Remark, ...]


@dataclass(frozen=True)
class Rehearsal:
    """All that is known of a prep before it begins.

    classes: number of videos of each. splits: class names that have videos, by split. kept: videos
    that a store there holds already, by its plan. missing: ids of a list that were not found.
    left_out: files and folders that are no videos here, by the kind of problem. store_bytes,
    seconds: estimates, of the whole store and of the videos to come. free: bytes on the store's
    disk. archives: those whose videos are known only when they are read; then the counts above are
    of files outside them.
    """

    store: Path
    root: Path
    videos: int
    source_bytes: int
    classes: Mapping[str, int]
    splits: Mapping[str, int]
    kept: int
    missing: int
    left_out: Mapping[str, int]
    examples: tuple[str, ...]
    too_few: Mapping[str, tuple[str, ...]]
    sample: Sample
    workers: int
    store_bytes: int
    seconds: float
    free: int
    archives: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return it as plain data."""
        plain = {**asdict(self), "store": str(self.store), "root": str(self.root)}
        return {
            "format": "tasd-prep-rehearsal",
            "version": 1,
            **plain,
            "hours": self.seconds / 3600,
        }


def rehearse(
    sources: Sources, settings: PrepSettings, *, workers: int, sample: int = SAMPLE
) -> Rehearsal:
    """Decode a few videos and tell what `prep.prepare.prepare` would do; nothing is written."""
    videos = sources.videos
    classes = Counter(video.class_name for video in videos)
    plan = read_plan(settings.store)
    shards = () if plan is None else plan.shards
    written = {video for shard in shards if shard.stamps for video in shard.videos}
    new = [video for video in videos if video.id not in written]
    tried = _decoded(_spread(new or videos, sample), settings)
    left_out = Counter[str]()
    for problem in sources.problems:
        left_out[problem.kind] += problem.count
    found = () if sources.archives is None else sources.archives.found
    return Rehearsal(
        store=settings.store,
        root=settings.root,
        videos=len(videos),
        source_bytes=sum(video.size_bytes for video in videos),
        classes=dict(sorted(classes.items())),
        splits=_splits(sources, settings, classes, None if plan is None else plan.splits),
        kept=len(videos) - len(new),
        missing=len(sources.missing),
        left_out=dict(left_out),
        examples=tuple(f"{p.path}: {p.reason}" for p in sources.problems[:3]),
        too_few={
            name: tuple(sorted(c for c, count in classes.items() if count < need))
            for name, need in USUAL_EPISODES.items()
        },
        sample=tried,
        workers=workers,
        store_bytes=round(tried.frame_bytes * _weight(videos, settings) / max(1, tried.weight)),
        seconds=tried.seconds / max(1, tried.videos) * len(new) / max(1, min(workers, len(new))),
        free=shutil.disk_usage(nearest(settings.store)).free,
        archives=tuple(sorted({str(part) for archive in found for part in archive.parts})),
    )


def nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _spread(videos: Sequence[SourceVideo], most: int) -> list[SourceVideo]:
    """Return at most ``most`` videos, evenly spaced among all."""
    count = min(most, len(videos))
    return [videos[number * len(videos) // count] for number in range(count)]


def _decoded(videos: Sequence[SourceVideo], settings: PrepSettings) -> Sample:
    """Decode videos as a worker does, and keep no frame."""
    decoder = Decoder(settings.tool, settings.frame_settings, settings.limits)
    began, size, lost = time.monotonic(), 0, 0
    remarks: list[Remark] = []
    tracked = track(groups(videos), total=len(videos), what="trying", unit="videos", count=len)
    for group in tracked:
        for video in group:
            fingerprint(video, settings.root)
        for video, clip in zip(group, clips_of(group, decoder, settings), strict=True):
            remarks += remark_on(video, clip, settings.frame_settings)
            if isinstance(clip, Clip):
                size += sum(map(len, clip.jpegs))
            else:
                lost += 1
    seconds = time.monotonic() - began
    weight = _weight(videos, settings)
    return Sample(len(videos), seconds, size, weight, lost, tuple(remarks))


def _weight(videos: Sequence[SourceVideo], settings: PrepSettings) -> int:
    return sum(prepared_bytes(video, settings.frame_settings) for video in videos)


def _splits(
    sources: Sources, settings: PrepSettings, classes: Mapping[str, int], kept: Splits | None
) -> dict[str, int]:
    """Return the number of classes with videos in each split."""
    if not classes:
        return {}
    rule = sources.split_rule
    splits = class_splits(settings.dataset) if rule is None else rule(sorted(classes), kept)
    return {name: sum(one in classes for one in splits[name]) for name in SPLIT_NAMES}
