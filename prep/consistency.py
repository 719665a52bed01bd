"""Comparison of a manifest with the shards, the plan and the report of its store."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prep.plan import read_plan
from tasd.foreign import open_regular
from tasd.store import REPORT, Manifest, Shard
from tasd.store.format import SHARD_PATTERN


def differences(folder: Path, manifest: Manifest, shards: Sequence[Shard]) -> Iterator[str]:
    """Yield in which way a manifest is not that of these shards, its own."""
    yield from _settings(manifest, shards)
    yield from _splits(manifest, shards)
    yield from _files(folder, manifest)
    yield from _plan(folder, manifest, shards)
    yield from _report(folder, shards)


def _settings(manifest: Manifest, shards: Sequence[Shard]) -> Iterator[str]:
    for shard in shards:
        index, name = shard.index, shard.path.name
        if index.dataset != manifest.dataset:
            yield f"it says data set {manifest.dataset}, {name} says {index.dataset}"
        if dict(index.settings) != dict(manifest.settings):
            yield f"it says settings {manifest.settings}, {name} says {dict(index.settings)}"
    versions = ", ".join(sorted({shard.index.ffmpeg for shard in shards}))
    if shards and versions != manifest.ffmpeg:
        yield f"it says ffmpeg {manifest.ffmpeg}, the shards say {versions}"


def _splits(manifest: Manifest, shards: Sequence[Shard]) -> Iterator[str]:
    if manifest.splits is None:
        return
    places = Counter(name for names in manifest.splits.values() for name in names)
    for name in (name for name, count in places.items() if count > 1):
        own = [split for split, names in manifest.splits.items() if name in names]
        yield f"class {name!r} is in {' and '.join(own)}; a class is in one split"
    held = {name for shard in shards for name in shard.index.classes}
    for name in sorted(held - places.keys()):
        yield f"class {name!r} has videos and is in no split"


def _files(folder: Path, manifest: Manifest) -> Iterator[str]:
    named = {entry.file for entry in manifest.shards}
    for path in sorted(folder.iterdir()):
        if SHARD_PATTERN.fullmatch(path.name) and path.name not in named:
            yield f"{path.name} is there and it does not name it"


def _plan(folder: Path, manifest: Manifest, shards: Sequence[Shard]) -> Iterator[str]:
    plan = read_plan(folder) if _is_file(folder / "plan.json") else None
    if plan is None:
        return
    held = {f"{c}/{n}" for s in shards for c, n in zip(s.index.classes, s.index.names, strict=True)}
    planned = {shard.number for shard in plan.shards}
    there = {int(shard.path.stem.rpartition("-")[2]) for shard in shards}
    for number in sorted(planned - there):
        yield f"shard {number} of plan.json is missing in it"
    unplanned = sorted(held - {video for shard in plan.shards for video in shard.videos})
    if unplanned:
        yield f"{unplanned[0]!r} is in the store and not in plan.json"
    if plan.splits is not None and dict(plan.splits) != dict(manifest.splits or {}):
        yield "its splits are not those of plan.json"


def _report(folder: Path, shards: Sequence[Shard]) -> Iterator[str]:
    content = _report_content(folder / REPORT)
    if content is None:
        return
    held = Counter(name for shard in shards for name in shard.index.classes)
    for name in sorted(held.keys() | content.keys()):
        if held[name] != content.get(name, 0):
            yield (
                f"{REPORT} counts {content.get(name, 0)} videos of class {name!r}, the shards hold "
                f"{held[name]}"
            )


def _report_content(path: Path) -> Mapping[str, Any] | None:
    """Return the number of prepared videos of each class; None without a report that reads so."""
    if not _is_file(path):
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    classes = content.get("classes") if isinstance(content, dict) else None
    return classes if isinstance(classes, dict) else None


def _is_file(path: Path) -> bool:
    try:
        open_regular(path).close()
    except OSError:
        return False
    return True
