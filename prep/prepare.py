"""A whole prep: from the videos that were found to a finished store.

A prep may be killed at any moment, because of the order in which it writes: the plan first, then
the shards, each atomically, and last the manifest, which declares the store complete. The next
prep keeps the shards that are still valid.
"""

import contextlib
import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from prep.archives.in_place import Hooks, InPlace
from prep.archives.waiting import PLACE, is_waiting
from prep.cluster import OnProgress, write_shards
from prep.lock import LOCK, locked
from prep.plan import PLAN, Plan, ShardPlan, Splits, plan_shards, read_plan, write_plan
from prep.report import Report
from prep.resume import ShardState, plan_from_shard, shard_state
from prep.shard import PrepSettings, ShardJob, ShardReport
from prep.sources import Sources
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tasd.progress import counted
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
    sources: Sources,
    settings: PrepSettings,
    *,
    on_start: Callable[[int, int], None] = lambda videos, size: None,
    on_progress: OnProgress = lambda videos, size: None,
    say: Callable[[str], None] = lambda line: None,
    workers: int = 1,
    scheduler: str | None = None,
    shard_mib: int = 256,
) -> Report:
    """Prepare the videos into the store that the settings name, and return the report.

    on_start: called once with the number of videos to decode, and their bytes. on_progress: called
    as videos are finished; with negative numbers where work was lost. say: called with each line
    of information for a person.

    Raises `UserError`; finished shards are kept.
    """
    with _store_folder(settings.store) as store, locked(store):
        remove_leftovers(store)
        known = _known_plan(store)
        hooks = Hooks(on_start, on_progress, say)
        reading = InPlace(sources, settings, workers=workers, hooks=hooks)
        sources = reading.sources()
        found = {video.id: video for video in sources.videos}
        plans = plan_shards(
            sources.videos, known.shards, settings=settings.frame_settings, shard_mib=shard_mib
        )
        states = [shard_state(shard, found, settings) for shard in plans]
        if any(state.moved for state in states):
            plans = plan_shards(
                sources.videos,
                [state.plan for state in states],
                settings=settings.frame_settings,
                shard_mib=shard_mib,
            )
            states += [ShardState(shard) for shard in plans[len(states) :]]
        plan = Plan(_current_shards(states, found), _splits(sources, plans, known))
        reports = {s.plan.number: s.report for s in states if s.report}
        jobs = [_job(shard, found) for shard in plan.shards if shard.number not in reports]
        _announce(states, found, say)
        reading.fetch(jobs)
        if not reading.started:
            videos = [video for job in jobs for video in job.videos if video.member is None]
            on_start(len(videos), sum(video.size_bytes for video in videos))
        if any((store / shard_name(job.number)).exists() for job in jobs):
            (store / MANIFEST).unlink(missing_ok=True)  # incomplete until these are written again
        write_plan(store, plan)
        writing = write_shards(
            jobs,
            settings,
            workers=workers,
            scheduler=scheduler,
            on_progress=on_progress,
            say=say,
        )
        with contextlib.closing(writing):
            for report in writing:
                reports[report.number] = report
                plan = plan.with_stamps(report.number, report.stamps)
                write_plan(store, plan)
                reading.release(report.number)
        remove_leftovers(store)  # of workers that were killed
        finished = [reports[shard.number] for shard in plan.shards]
        with contextlib.closing(reading):
            return _finish(sources, settings, plan, finished)


def _known_plan(store: Path) -> Plan:
    """Read the plan of an earlier prep; without one, rebuild it from the shards of the store.

    Raises `UserError` where the folder contains something else, which must not be overwritten.
    """
    plan = read_plan(store)
    if plan is not None:
        return plan
    if (store / MANIFEST).exists():
        read_manifest(store)
    shards = [plan_from_shard(path) for path in sorted(store.glob("shard-*.h5"))]
    return Plan(_each_once(shards))


def _each_once(shards: Sequence[ShardPlan]) -> tuple[ShardPlan, ...]:
    """Leave a video that several shards name in the last: the others could not read it."""
    last = {video: shard.number for shard in shards for video in shard.videos}
    return tuple(
        replace(shard, videos=tuple(v for v in shard.videos if last[v] == shard.number))
        for shard in shards
    )


def _current_shards(
    states: Sequence[ShardState], found: Mapping[str, SourceVideo]
) -> tuple[ShardPlan, ...]:
    """Return the shards; those to be written lose the videos whose files are missing now."""
    shards = []
    for state in states:
        videos = state.plan.videos
        if state.report is None:
            videos = tuple(video for video in videos if video in found)
            shards.append(ShardPlan(state.plan.number, videos))
        else:
            shards.append(replace(state.plan, stamps=state.report.stamps))
    return tuple(shard for shard in shards if shard.videos)


def _splits(sources: Sources, plans: Sequence[ShardPlan], known: Plan) -> Splits | None:
    if sources.split_rule is None:
        return None
    videos = (video for shard in plans for video in shard.videos)
    return sources.split_rule(sorted({video.partition("/")[0] for video in videos}), known.splits)


def _job(shard: ShardPlan, found: Mapping[str, SourceVideo]) -> ShardJob:
    return ShardJob(shard.number, tuple(found[video] for video in shard.videos))


def _announce(
    states: Sequence[ShardState], found: Mapping[str, SourceVideo], say: Callable[[str], None]
) -> None:
    """Say which shards are written again and why, and how many videos are kept."""
    reasons = Counter(state.reason for state in states if state.reason)
    for reason, shards in reasons.items():
        say(f"{counted(shards, 'shard')} must be written again: {reason}")
    kept = [video for state in states if state.report for video in state.plan.videos]
    if kept:
        gone = len(set(kept) - set(found))
        stay = f", {gone} of them no longer below the root or in the list" if gone else ""
        are = "is" if len(kept) == 1 else "are"
        say(f"{counted(len(kept), 'video')} {are} in the store already{stay}")
    for state in states:
        if state.note:
            say(state.note)


def _finish(
    sources: Sources, settings: PrepSettings, plan: Plan, reports: Sequence[ShardReport]
) -> Report:
    """Write the report, then the manifest, which declares the store complete."""
    remarks = sorted(
        (remark for report in reports for remark in report.remarks),
        key=lambda remark: (remark.video, remark.kind),
    )
    report = Report(
        prepared=Counter(name for shard in reports for name in shard.classes),
        remarks=tuple(remarks),
        missing=sources.missing,
        problems=sources.problems,
    )
    if not report.videos:
        raise _NothingPrepared(_nothing_prepared(report, len(sources.videos)))
    manifest = Manifest(
        dataset=settings.dataset,
        ffmpeg=", ".join(sorted({shard.ffmpeg for shard in reports})),
        settings=settings.as_json(),
        shards=tuple(shard.entry for shard in reports),
        splits=plan.splits,
    )
    write_json(settings.store / REPORT, report.as_json())
    write_manifest(settings.store, manifest)
    return report


class _NothingPrepared(Exception):
    pass


def _nothing_prepared(report: Report, tried: int) -> str:
    first = report.remarks[0]
    return (
        f"none of {counted(tried, 'video')} could be prepared, so nothing is written; "
        f"the first, {first.path}: {first.reason}"
    )


@contextlib.contextmanager
def _store_folder(store: Path) -> Iterator[Path]:
    """Make the folder of the store where it is missing, and explain errors of its disk.

    A prep that fails before its plan is written removes what it made. Raises `UserError`.
    """
    made = [folder for folder in (store, *store.parents) if not folder.exists()]
    try:
        store.mkdir(parents=True, exist_ok=True)
        yield store
    except _NothingPrepared as nothing:
        _remove(store, made)
        raise UserError(str(nothing)) from None
    except UserError:
        if made and not (store / PLAN).exists() and not is_waiting(store):
            _remove(store, made)
        raise
    except OSError as error:
        raise UserError(_disk_error(store, error)) from error


def _remove(store: Path, made: Sequence[Path]) -> None:
    shutil.rmtree(store / PLACE, ignore_errors=True)
    for path in [*store.glob("shard-*.h5"), store / PLAN, store / LOCK]:
        path.unlink(missing_ok=True)
    for folder in made:
        folder.rmdir()


def _disk_error(store: Path, error: OSError) -> str:
    text = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
        return (
            f"the disk of {store} is full; finished shards are kept: make room and run the same "
            "command again, or name a folder on another disk with --store"
        )
    return f"the store {store} cannot be written: {text}; name another folder with --store"
