"""Prep beside the field's usual way, ffmpeg to .jpg files, on the caller's own clips.

The time of prep includes everything: planning, starting processes, decoding, hashes, checks,
atomic shards and the report.
"""

import functools
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from prep.clip import FrameSettings
from prep.ffmpeg_process import JPEG_QUALITY, Ffmpeg, find_ffmpeg
from prep.prepare import prepare
from prep.shard import PrepSettings
from prep.sources import Sources
from tasd.bench.rounds import interleaved, median_ratio, table_of, usable_cores
from tasd.datasets import SourceVideo
from tasd.datasets.base import VIDEO_SUFFIXES
from tasd.errors import UserError

FIELD = "ffmpeg to .jpg files, all frames"
FIELD_TWO = "the same, two at a time"
DECODE = "decoding alone, nothing kept"
DECODE_TWO = "the same decoding, two at a time"
PREP = "tasd prep"
Way = tuple[int, str]  # cores, name
SHORT_SIDE = "scale='if(gt(iw,ih),-2,256)':'if(gt(iw,ih),256,-2)'"


@dataclass(frozen=True)
class Taken:
    """Wall and processor time of one video in one round."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class PrepTime:
    """Times of one way for one video, on so many cores.

    speed: relative to the field's way on the same cores, which may use all of them.
    """

    cores: int
    way: str
    milliseconds: float
    cpu_milliseconds: float
    speed: float


@dataclass(frozen=True)
class PrepTimes:
    """Times of all ways.

    clips: different ones; prep takes them repeatedly, up to ``videos``, since a real data set has
    many. scaling: speed of two workers on two cores relative to one on one; 0 where the machine
    has one core. decode_scaling: the same of decoding alone. worker_mib: the largest process that
    prep started.
    """

    clips: int
    videos: int
    rounds: int
    ffmpeg: str
    ways: tuple[PrepTime, ...]
    scaling: float
    decode_scaling: float
    worker_mib: float


def bench_prep(root: Path, *, clips: int, videos: int, rounds: int) -> PrepTimes:
    """Time every way on the videos below ``root`` in interleaved rounds.

    Raises `UserError` where there are no videos, or one of them cannot be prepared.
    """
    tool = find_ffmpeg()
    sources = find_clips(root, clips)
    with tempfile.TemporaryDirectory(prefix="tasd-bench-") as folder:
        ways = _ways(sources, tool, Path(folder), videos=videos)
        taken = interleaved(ways, rounds=rounds, what="bench prep")
    return PrepTimes(
        clips=len(sources),
        videos=videos,
        rounds=rounds,
        ffmpeg=tool.version,
        ways=prep_times(taken),
        scaling=_scaling(taken, PREP, PREP),
        decode_scaling=_scaling(taken, DECODE, DECODE_TWO),
        worker_mib=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    )


def _scaling(taken: Mapping[Way, Sequence[Taken]], one: str, two: str) -> float:
    """Compute the speed on two cores relative to one core; 0 where there is one core."""
    if (2, two) not in taken:
        return 0.0
    return median_ratio(_seconds(taken[1, one]), _seconds(taken[2, two]))


def _seconds(rounds: Sequence[Taken]) -> list[float]:
    return [one.seconds for one in rounds]


def find_clips(root: Path, most: int) -> list[Path]:
    """Pick videos evenly from below a folder. Raises `UserError` where there are none."""
    files = (path for path in root.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    found = sorted(path for path in files if path.is_file())
    if not found:
        raise UserError(f"there is no video below {root}; name a folder of videos with --root")
    return found[:: max(1, len(found) // most)][:most]


def prep_times(taken: Mapping[Way, Sequence[Taken]]) -> tuple[PrepTime, ...]:
    """Summarise the times of each way in each round."""
    return tuple(
        PrepTime(
            cores=cores,
            way=name,
            milliseconds=1000 * statistics.median(_seconds(rounds)),
            cpu_milliseconds=1000 * statistics.median(one.cpu_seconds for one in rounds),
            speed=median_ratio(_seconds(taken[cores, FIELD]), _seconds(rounds)),
        )
        for (cores, name), rounds in taken.items()
    )


def prep_table(times: PrepTimes) -> Table:
    """Lay out the times as a table."""
    scaling = (
        f"2 workers on 2 cores are {times.scaling:.2f} times as fast as 1 on 1 "
        f"(decoding alone: {times.decode_scaling:.2f}); "
    )
    return table_of(
        f"one video of {times.clips} clips; {times.rounds} rounds, {times.ffmpeg}",
        f"{scaling if times.scaling else ''}no process took more than {times.worker_mib:.0f} MiB",
        {
            "cores": [str(way.cores) for way in times.ways],
            "way": [way.way for way in times.ways],
            "ms": [f"{way.milliseconds:,.1f}" for way in times.ways],
            "CPU ms": [f"{way.cpu_milliseconds:,.1f}" for way in times.ways],
            "speed": [f"{way.speed:.2f}x" for way in times.ways],
        },
    )


def _ways(
    clips: Sequence[Path], tool: Ffmpeg, folder: Path, *, videos: int
) -> dict[Way, Callable[[], Taken]]:
    ways: dict[Way, Callable[[], Taken]] = {
        (1, FIELD): lambda: _field(clips, tool, folder, at_once=1),
        (1, DECODE): lambda: _decode(clips, tool, at_once=1),
        (1, PREP): lambda: _prepare(clips, tool, folder, videos=videos, workers=1),
        (2, FIELD): lambda: _field(clips, tool, folder, at_once=1),
        (2, FIELD_TWO): lambda: _field(clips, tool, folder, at_once=2),
        (2, DECODE_TWO): lambda: _decode(clips, tool, at_once=2),
        (2, PREP): lambda: _prepare(clips, tool, folder, videos=videos, workers=2),
    }
    most = len(usable_cores())
    return {
        (cores, name): functools.partial(_confined, work, cores=cores)
        for (cores, name), work in ways.items()
        if cores <= most
    }


def _confined(work: Callable[[], Taken], *, cores: int) -> Taken:
    """Do the work with this process, and those that it starts, confined to so many cores."""
    every = usable_cores()
    if len(every) == 1:
        return work()
    os.sched_setaffinity(0, every[:cores])
    try:
        return work()
    finally:
        os.sched_setaffinity(0, every)


def _field(clips: Sequence[Path], tool: Ffmpeg, folder: Path, *, at_once: int) -> Taken:
    """Write every frame of each clip into its own folder, the shorter side 256 pixels."""

    def extract(number: int, clip: Path) -> None:
        target = folder / "jpg" / str(number)
        target.mkdir(parents=True)
        filters = ["-vf", SHORT_SIDE, "-q:v", str(JPEG_QUALITY)]
        _run(tool, clip, *filters, str(target / "%05d.jpg"))

    taken = _on_each(clips, extract, at_once=at_once)
    shutil.rmtree(folder / "jpg")
    return taken


def _decode(clips: Sequence[Path], tool: Ffmpeg, *, at_once: int) -> Taken:
    """Decode and do nothing else; two at a time show the worth of a second core."""

    def decode(number: int, clip: Path) -> None:
        _run(tool, clip, "-map", "0:V:0", "-f", "null", "-", threads=1)

    return _on_each(clips, decode, at_once=at_once)


def _on_each(clips: Sequence[Path], work: Callable[[int, Path], None], *, at_once: int) -> Taken:
    """Time the work on each clip, so many clips at a time."""
    many = list(clips) * at_once  # twice as many keep two processes busy to the end
    with ThreadPoolExecutor(at_once) as pool:
        return _time(lambda: list(pool.map(work, range(len(many)), many)), videos=len(many))


def _run(tool: Ffmpeg, clip: Path, *output: str, threads: int | None = None) -> None:
    before = ["-threads", str(threads)] if threads else []
    quiet = [tool.program, "-nostdin", "-loglevel", "error"]
    done = subprocess.run(
        [*quiet, *before, "-i", f"file:{clip}", *output], capture_output=True, check=False
    )
    if done.returncode:
        raise UserError(f"ffmpeg cannot decode {clip}; leave it out of --root")


def _prepare(
    clips: Sequence[Path], tool: Ffmpeg, folder: Path, *, videos: int, workers: int
) -> Taken:
    """Run all of prep on links to the clips."""
    root, store = folder / "videos", folder / "store"
    root.mkdir()
    sources = []
    for number in range(videos):
        clip = clips[number % len(clips)]
        name = f"{number:05}{clip.suffix}"
        (root / name).symlink_to(clip.absolute())
        sources.append(SourceVideo("clips", name, name, clip.stat().st_size))
    settings = PrepSettings(root, store, "folder", FrameSettings(), tool)

    def work() -> None:
        report = prepare(Sources(tuple(sources)), settings, workers=workers)
        if report.losses:
            raise UserError(f"{report.remarks[0].reason}; leave such videos out of --root")

    taken = _time(work, videos=videos)
    shutil.rmtree(root)
    shutil.rmtree(store)
    return taken


def _time(work: Callable[[], object], *, videos: int) -> Taken:
    """Time the work and the processes that it waits for, divided by the number of videos."""
    began, cpu = time.perf_counter(), _cpu()
    work()
    return Taken((time.perf_counter() - began) / videos, (_cpu() - cpu) / videos)


def _cpu() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
