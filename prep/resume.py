"""Decide which shards of an earlier prep are kept, and which must be written again."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prep.clip import PASSING
from prep.limits import Limits
from prep.plan import FileStamp, ShardPlan
from prep.report import Remark
from prep.shard import PrepSettings, ShardReport, file_stamp, seen_source
from tasd.datasets import SourceVideo
from tasd.datasets.lists import stem
from tasd.errors import UserError
from tasd.store import Shard, read_shard, shard_name


@dataclass(frozen=True)
class ShardState:
    """State of a planned shard on the disk.

    report: that of a shard that is kept; None where it must be written. reason: why it must be
    written again; empty for the first time. note: information on a shard that is kept.
    moved: videos that it never held and that need a new shard.
    """

    plan: ShardPlan
    report: ShardReport | None = None
    reason: str = ""
    note: str = ""
    moved: tuple[str, ...] = ()


def shard_state(
    plan: ShardPlan, found: Mapping[str, SourceVideo], settings: PrepSettings
) -> ShardState:
    """Compare a shard with the settings and the source files as they are now.

    A shard with videos whose files are missing now is kept, because writing it again would lose
    them. Raises `UserError` where such a shard has other settings.
    """
    path = settings.store / shard_name(plan.number)
    if not path.exists():
        return ShardState(plan)
    try:
        shard = read_shard(path)
        sources = json.loads(shard.index.attributes["sources"])
        remarks = [Remark(**entry) for entry in json.loads(shard.index.attributes["remarks"])]
        retry = _worth_another_try(shard, remarks, settings)
    except (UserError, KeyError, ValueError, TypeError):
        return ShardState(plan, reason="the file is damaged")
    # A video that the shard does not hold cannot be lost by writing it again.
    index = shard.index
    held = {f"{c}/{n}" for c, n in zip(index.classes, index.names, strict=True)}
    gone = [video for video in plan.videos if video in held and video not in found]
    difference = _settings_difference(shard, settings)
    if difference and gone:
        raise UserError(_would_lose(gone, difference, settings))
    if difference or not held <= {*plan.videos} <= {*sources}:
        return ShardState(plan, reason=difference or "its videos are not those of the plan")
    stamps, changed, unread = _compare(plan, sources, found, settings.root)
    gone += [video for video in unread if video in held]
    if changed and not gone:
        return ShardState(plan, reason=f"{changed[0]}{_and_more(len(changed) - 1)} changed")
    if retry and not gone:
        reason = f"{retry[0]}{_and_more(len(retry) - 1)} may be readable now"
        return ShardState(plan, reason=reason)
    moved = [video for video in (*changed, *retry) if video not in held and video in found]
    if moved:  # the shard stays for the sake of what is gone; these go into a new one
        plan = replace(plan, videos=tuple(v for v in plan.videos if v not in moved))
        changed = [video for video in changed if video in held]
    lost = "cannot be read now" if gone and gone[0] in found else "is gone"
    note = f"{changed[0]} changed, but {gone[0]} {lost}: the shard is kept" if changed else ""
    there = held | (found.keys() - set(moved))
    remarks = [remark for remark in remarks if remark.video in there]
    report = _report(shard, plan.number, stamps, remarks)
    return ShardState(plan, report=report, note=note, moved=tuple(moved))


def held_sources(settings: PrepSettings) -> frozenset[tuple[str, int, str]]:
    """Return the sources of all shards with these settings: stem, size and sha256 of each."""
    held: set[tuple[str, int, str]] = set()
    for path in settings.store.glob("shard-*.h5"):
        with contextlib.suppress(UserError, KeyError, ValueError, TypeError):
            shard = read_shard(path)
            if not _settings_difference(shard, settings):
                sources = json.loads(shard.index.attributes["sources"])
                held |= {
                    (stem(video.partition("/")[2]), int(size), str(sha256))
                    for video, (size, sha256) in sources.items()
                }
    return frozenset(held)


def plan_from_shard(path: Path) -> ShardPlan:
    """Rebuild the plan of a shard from the shard itself. Raises `UserError`."""
    try:
        sources = json.loads(read_shard(path).index.attributes["sources"])
    except (UserError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is not a shard that prep can continue from ({error}); name another folder "
            "with --store, or delete it"
        ) from None
    return ShardPlan(int(path.stem.rpartition("-")[2]), tuple(sources))


def _settings_difference(shard: Shard, settings: PrepSettings) -> str:
    """Describe the settings in which a shard differs from the present ones; empty for none."""
    if shard.index.dataset != settings.dataset:
        return f"it holds {shard.index.dataset}, not {settings.dataset}"
    now, then = settings.as_json(), shard.index.settings
    names = [name for name in now if now[name] != then.get(name)]
    return ", ".join(f"{name} was {then.get(name)}, is {now[name]}" for name in names)


def _worth_another_try(
    shard: Shard, remarks: Sequence[Remark], settings: PrepSettings
) -> list[str]:
    """List the unreadable videos of a shard that may be readable now.

    Where the limits are wider now, these are all of them, because the message of a decoder does
    not show reliably that it was short of memory; else those whose files are not at fault.
    """
    limits = json.loads(shard.index.attributes.get("limits", "null"))
    wider = limits is not None and settings.limits.exceed(Limits(**limits))
    unread = [remark for remark in remarks if remark.kind == "unreadable"]
    return [remark.video for remark in unread if wider or remark.code in PASSING]


def _compare(
    plan: ShardPlan,
    sources: Mapping[str, list[int | str]],
    found: Mapping[str, SourceVideo],
    root: Path,
) -> tuple[tuple[FileStamp, ...], list[str], list[str]]:
    """Return the stamps of the sources, the videos that changed, and those not readable now."""
    known = {entry[0]: entry for entry in plan.stamps}
    stamps: list[FileStamp] = []
    changed, unread = [], []
    for video in plan.videos:
        if video not in found:
            continue
        now = file_stamp(found[video], root)
        # A file is hashed again only where its stamp differs from the one in the plan.
        if known.get(now[0]) != now:
            now, mark = seen_source(found[video], root)
            if not mark[1]:
                unread.append(video)
            elif list(mark) != sources[video]:
                changed.append(video)
        stamps.append(now)
    return tuple(stamps), changed, unread


def _report(
    shard: Shard, number: int, stamps: tuple[FileStamp, ...], remarks: list[Remark]
) -> ShardReport:
    index = shard.index
    return ShardReport(
        number=number,
        entry=shard.entry,
        ffmpeg=index.ffmpeg,
        stamps=stamps,
        classes=index.classes,
        remarks=tuple(remarks),
    )


def _and_more(count: int) -> str:
    return f" and {count} more" if count else ""


def _would_lose(gone: list[str], difference: str, settings: PrepSettings) -> str:
    return (
        f"the store {settings.store} was made with other settings ({difference}), and {gone[0]!r}"
        f"{_and_more(len(gone) - 1)} is no longer below {settings.root}: name the folder that "
        "has it with --root, or another store with --store"
    )
