"""Decide which shards of an earlier prep are kept, and which must be written again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prep.limits import Limits
from prep.plan import FileStamp, ShardPlan
from prep.report import Remark
from prep.shard import PrepSettings, ShardReport, file_stamp, fingerprint
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tasd.store import Shard, read_shard, shard_name


@dataclass(frozen=True)
class ShardState:
    """State of a planned shard on the disk.

    report: that of a shard that is kept; None where it must be written. reason: why it must be
    written again; empty for the first time. note: information on a shard that is kept.
    """

    plan: ShardPlan
    report: ShardReport | None = None
    reason: str = ""
    note: str = ""


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
        retry = _unreadable_under_old_limits(shard, remarks, settings)
    except (UserError, KeyError, ValueError, TypeError):
        return ShardState(plan, reason="the file is damaged")
    gone = [video for video in plan.videos if video not in found]
    difference = _settings_difference(shard, settings)
    if difference and gone:
        raise UserError(_would_lose(gone, difference, settings))
    if difference or set(sources) != set(plan.videos):
        return ShardState(plan, reason=difference or "its videos are not those of the plan")
    stamps, changed = _compare(plan, sources, found, settings.root)
    if changed and not gone:
        return ShardState(plan, reason=f"{changed[0]}{_and_more(len(changed) - 1)} changed")
    if retry and not gone:
        reason = f"{retry[0]}{_and_more(len(retry) - 1)} may be readable under wider limits"
        return ShardState(plan, reason=reason)
    note = f"{changed[0]} changed, but {gone[0]} is gone: the shard is kept" if changed else ""
    return ShardState(plan, report=_report(shard, plan.number, stamps, remarks), note=note)


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


def _unreadable_under_old_limits(
    shard: Shard, remarks: Sequence[Remark], settings: PrepSettings
) -> list[str]:
    """List the unreadable videos of a shard where the limits are wider now.

    All of them are tried again, because the message of a decoder does not show reliably that it
    was short of memory.
    """
    limits = json.loads(shard.index.attributes.get("limits", "null"))
    if limits is None or not settings.limits.exceed(Limits(**limits)):
        return []
    return [remark.video for remark in remarks if remark.kind == "unreadable"]


def _compare(
    plan: ShardPlan,
    sources: Mapping[str, list[int | str]],
    found: Mapping[str, SourceVideo],
    root: Path,
) -> tuple[tuple[FileStamp, ...], list[str]]:
    """Return the stamps of the source files, and the videos whose content has changed."""
    known = {entry[0]: entry for entry in plan.stamps}
    stamps: list[FileStamp] = []
    changed = []
    for video in plan.videos:
        if video not in found:
            continue
        now = file_stamp(found[video], root)
        # A file is hashed again only where its stamp differs from the one in the plan.
        if known.get(now[0]) != now and list(fingerprint(found[video], root)) != sources[video]:
            changed.append(video)
        stamps.append(now)
    return tuple(stamps), changed


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
