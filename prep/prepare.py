"""The whole of a prep, from the videos that were found to a finished store.

The order makes it safe to kill at any moment: the plan first, then shards, each appearing whole,
and last the manifest, which declares the store complete. A rerun keeps what holds.
"""

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prep.cluster import write_shards
from prep.lock import LOCK, locked
from prep.plan import PLAN, Plan, ShardPlan, Splits, plan_shards, read_plan, write_plan
from prep.progress import Audience
from prep.report import Report
from prep.resume import Verdict, judge, planned_by
from prep.shard import PrepSettings, ShardJob, ShardReport
from prep.sources import Sources
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tasd.store import (
    MANIFEST,
    REPORT,
    Manifest,
    read_manifest,
    remove_leftovers,
    shard_name,
    write_json,
    write_manifest,
)


def prepare(
    wanted: Sources,
    recipe: PrepSettings,
    audience: Audience,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    shard_mib: int = 256,
) -> Report:
    """Bring the store up to what is wanted. Raises `UserError`; what is finished is kept."""
    with _written_to(recipe.store) as store, locked(store):
        remove_leftovers(store)
        found = {video.id: video for video in wanted.videos}
        known = _known_plan(store)
        plans = plan_shards(
            wanted.videos, known.shards, settings=recipe.settings, shard_mib=shard_mib
        )
        verdicts = [judge(shard, found, recipe) for shard in plans]
        plan = Plan(_still_possible(verdicts, found), _splits(wanted, plans, known))
        reports = {v.plan.number: v.report for v in verdicts if v.report}
        jobs = [_job(shard, found) for shard in plan.shards if shard.number not in reports]
        _announce(verdicts, jobs, found, audience)
        if any((store / shard_name(job.number)).exists() for job in jobs):
            (store / MANIFEST).unlink(missing_ok=True)  # until they are written again
        write_plan(store, plan)
        writing = write_shards(
            jobs,
            recipe,
            workers=workers,
            scheduler=scheduler,
            told=audience.told,
            say=audience.say,
        )
        with contextlib.closing(writing):
            for report in writing:
                reports[report.number] = report
                plan = plan.with_seen(report.number, report.seen)
                write_plan(store, plan)
        remove_leftovers(store)  # of workers that were killed on the way
        return _finish(wanted, recipe, plan, [reports[shard.number] for shard in plan.shards])


def _known_plan(store: Path) -> Plan:
    """What an earlier prep planned; where that is lost, what its shards say of themselves.

    Raises `UserError` where the folder holds something else, which must not be overwritten.
    """
    plan = read_plan(store)
    if plan is not None:
        return plan
    if (store / MANIFEST).exists():
        read_manifest(store)
    shards = [planned_by(path) for path in sorted(store.glob("shard-*.h5"))]
    return Plan(tuple(shards))


def _still_possible(
    verdicts: Sequence[Verdict], found: Mapping[str, SourceVideo]
) -> tuple[ShardPlan, ...]:
    """The plan without the videos of unwritten shards whose sources are gone."""
    shards = []
    for verdict in verdicts:
        videos = verdict.plan.videos
        if verdict.report is None:
            videos = tuple(video for video in videos if video in found)
            shards.append(ShardPlan(verdict.plan.number, videos))
        else:
            shards.append(replace(verdict.plan, seen=verdict.report.seen))
    return tuple(shard for shard in shards if shard.videos)


def _splits(wanted: Sources, plans: Sequence[ShardPlan], known: Plan) -> Splits | None:
    if wanted.deal is None:
        return None
    videos = (video for shard in plans for video in shard.videos)
    return wanted.deal(sorted({video.partition("/")[0] for video in videos}), known.splits)


def _job(shard: ShardPlan, found: Mapping[str, SourceVideo]) -> ShardJob:
    return ShardJob(shard.number, tuple(found[video] for video in shard.videos))


def _announce(
    verdicts: Sequence[Verdict],
    jobs: Sequence[ShardJob],
    found: Mapping[str, SourceVideo],
    audience: Audience,
) -> None:
    reasons = Counter(verdict.why for verdict in verdicts if verdict.why)
    for why, shards in reasons.items():
        audience.say(f"{shards} {'shard' if shards == 1 else 'shards'} again: {why}")
    kept = [video for verdict in verdicts if verdict.report for video in verdict.plan.videos]
    if kept:
        gone = len(set(kept) - set(found))
        stay = f", {gone} of them not below the root, or not in the list, any more" if gone else ""
        audience.say(f"{len(kept):,} videos are in the store already{stay}")
    for verdict in verdicts:
        if verdict.note:
            audience.say(verdict.note)
    videos = [video for job in jobs for video in job.videos]
    audience.begin(videos=len(videos), size=sum(video.size_bytes for video in videos))


def _finish(
    wanted: Sources, recipe: PrepSettings, plan: Plan, reports: Sequence[ShardReport]
) -> Report:
    """Say what became of everything, and declare the store complete."""
    remarks = sorted(
        (remark for report in reports for remark in report.remarks),
        key=lambda remark: (remark.video, remark.kind),
    )
    report = Report(
        prepared=Counter(name for shard in reports for name in shard.classes),
        remarks=tuple(remarks),
        missing=wanted.missing,
        problems=wanted.problems,
    )
    if not report.videos:
        raise _NothingPrepared(_nothing(report, len(wanted.videos)))
    manifest = Manifest(
        dataset=recipe.dataset,
        ffmpeg=", ".join(sorted({shard.ffmpeg for shard in reports})),
        settings=recipe.as_json(),
        shards=tuple(shard.entry for shard in reports),
        splits=plan.splits,
    )
    write_json(recipe.store / REPORT, report.as_json())
    write_manifest(recipe.store, manifest)
    return report


class _NothingPrepared(Exception):
    pass


def _nothing(report: Report, tried: int) -> str:
    first = report.remarks[0]
    return (
        f"none of {tried} videos could be prepared, so nothing is written; "
        f"the first, {first.path}: {first.reason}"
    )


@contextlib.contextmanager
def _written_to(store: Path) -> Iterator[Path]:
    """The folder of the store, made where it is not there; what goes wrong on its disk.

    A prep that ends before it has planned anything leaves no trace.
    """
    made = [folder for folder in (store, *store.parents) if not folder.exists()]
    try:
        store.mkdir(parents=True, exist_ok=True)
        yield store
    except _NothingPrepared as nothing:
        _remove(store, made)
        raise UserError(str(nothing)) from None
    except UserError:
        if made and not (store / PLAN).exists():
            _remove(store, made)
        raise
    except OSError as error:
        raise UserError(_disk_error(store, error)) from error


def _remove(store: Path, made: Sequence[Path]) -> None:
    for path in [*store.glob("shard-*.h5"), store / PLAN, store / LOCK]:
        path.unlink(missing_ok=True)
    for folder in made:
        folder.rmdir()


def _disk_error(store: Path, error: OSError) -> str:
    text = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
        return (
            f"the disk of {store} is full; what is finished is kept: make room and run the same "
            "command again, or name a folder elsewhere with --store"
        )
    return f"the store {store} cannot be written: {text}; name another folder with --store"
