"""Which shards of an earlier prep still hold, and why the others must be written again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prep.limits import Limits
from prep.plan import Seen, ShardPlan
from prep.report import Remark
from prep.shard import PrepSettings, ShardReport, fingerprint, look_at
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tasd.store import Shard, read_shard, shard_name


@dataclass(frozen=True)
class Verdict:
    """What is to become of a planned shard.

    report: what it holds, where it is kept. why: it must be written again; empty for the first
    time. note: something to know of a shard that is kept all the same.
    """

    plan: ShardPlan
    report: ShardReport | None = None
    why: str = ""
    note: str = ""


def judge(plan: ShardPlan, found: Mapping[str, SourceVideo], recipe: PrepSettings) -> Verdict:
    """Hold a shard against the settings and the source files as they are now.

    Videos whose source is not found any more stay in the store: a shard that could only be
    written without them is kept. Raises `UserError` where settings changed that it was made by.
    """
    path = recipe.store / shard_name(plan.number)
    if not path.exists():
        return Verdict(plan)
    try:
        shard = read_shard(path)
        sources = json.loads(shard.index.attributes["sources"])
        remarks = [Remark(**entry) for entry in json.loads(shard.index.attributes["remarks"])]
        hopes = _may_be_read(shard, remarks, recipe)
    except (UserError, KeyError, ValueError, TypeError):
        return Verdict(plan, why="the file is damaged")
    gone = [video for video in plan.videos if video not in found]
    other = _other_settings(shard, recipe)
    if other and gone:
        raise UserError(_would_lose(gone, other, recipe))
    if other or set(sources) != set(plan.videos):
        return Verdict(plan, why=other or "its videos were planned otherwise")
    seen, changed = _compare(plan, sources, found, recipe.root)
    if changed and not gone:
        return Verdict(plan, why=f"{changed[0]} changed" + _and_more(len(changed) - 1))
    if hopes and not gone:
        return Verdict(plan, why=f"{hopes[0]} may take more now" + _and_more(len(hopes) - 1))
    note = f"{changed[0]} changed, but {gone[0]} is gone: kept as it is" if changed else ""
    return Verdict(plan, report=_report(shard, plan.number, seen, remarks), note=note)


def planned_by(path: Path) -> ShardPlan:
    """The plan that a shard was written by, from the shard itself. Raises `UserError`."""
    try:
        sources = json.loads(read_shard(path).index.attributes["sources"])
    except (UserError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is no shard that prep could go on from ({error}); name another folder with "
            "--store, or delete it"
        ) from None
    return ShardPlan(int(path.stem.rpartition("-")[2]), tuple(sources))


def _other_settings(shard: Shard, recipe: PrepSettings) -> str:
    """In which setting a shard differs from what is asked for now."""
    if shard.index.dataset != recipe.dataset:
        return f"it holds {shard.index.dataset}, not {recipe.dataset}"
    now, then = recipe.as_json(), shard.index.settings
    names = [name for name in now if now[name] != then.get(name)]
    return ", ".join(f"{name} was {then.get(name)}, is {now[name]}" for name in names)


def _may_be_read(shard: Shard, remarks: Sequence[Remark], recipe: PrepSettings) -> list[str]:
    """The videos that could not be read, where the limits are wider now.

    Whether a limit was the reason is not asked: short of memory, a decoder fails in many words.
    """
    limits = json.loads(shard.index.attributes.get("limits", "null"))
    if limits is None or not recipe.limits.exceed(Limits(**limits)):
        return []
    return [remark.video for remark in remarks if remark.kind == "unreadable"]


def _compare(
    plan: ShardPlan,
    sources: Mapping[str, list[int | str]],
    found: Mapping[str, SourceVideo],
    root: Path,
) -> tuple[tuple[Seen, ...], list[str]]:
    """The sources as they look now, and the videos whose content is not what it was."""
    known = {entry[0]: entry for entry in plan.seen}
    seen: list[Seen] = []
    changed = []
    for video in plan.videos:
        if video not in found:
            continue
        now = look_at(found[video], root)
        # Reading a file again is for those that look otherwise than when they were prepared.
        if known.get(now[0]) != now and list(fingerprint(found[video], root)) != sources[video]:
            changed.append(video)
        seen.append(now)
    return tuple(seen), changed


def _report(
    shard: Shard, number: int, seen: tuple[Seen, ...], remarks: list[Remark]
) -> ShardReport:
    index = shard.index
    return ShardReport(
        number=number,
        entry=shard.entry,
        ffmpeg=index.ffmpeg,
        seen=seen,
        classes=index.classes,
        remarks=tuple(remarks),
    )


def _and_more(count: int) -> str:
    return f" and {count} more" if count else ""


def _would_lose(gone: list[str], other: str, recipe: PrepSettings) -> str:
    return (
        f"the store {recipe.store} was made with other settings ({other}), and {gone[0]!r}"
        f"{_and_more(len(gone) - 1)} is not below {recipe.root} any more: name the folder that "
        "has it with --root, or another store with --store"
    )
