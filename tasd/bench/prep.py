"""Prep beside the field's usual way, ffmpeg to .jpg files, on a person's own clips, in one run.

What is timed of prep is all of it: planning, starting processes, decoding, hashes, checks,
atomic shards and the report. Rounds are interleaved, so that whatever else the machine does
falls on all alike; a speed is the median of ratios within a round.
"""

import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from prep.clip import FrameSettings
from prep.ffmpeg_process import JPEG_QUALITY, Ffmpeg, find_ffmpeg
from prep.prepare import prepare
from prep.shard import PrepSettings
from prep.sources import Sources
from tasd.datasets import SourceVideo
from tasd.datasets.base import VIDEO_SUFFIXES
from tasd.errors import UserError
from tasd.progress import track

FIELD = "ffmpeg to .jpg files, all frames"
FIELD_TWO = "the same, two at a time"
DECODE = "decoding alone, nothing kept"
DECODE_TWO = "the same decoding, two at a time"
PREP = "tasd prep"
Way = tuple[int, str]  # cores, name
SHORT_SIDE = "scale='if(gt(iw,ih),-2,256)':'if(gt(iw,ih),256,-2)'"


@dataclass(frozen=True)
class WayFigures:
    """One way on so many cores, for one video: wall and processor time, and its speed.

    speed: against the field's way on the same cores, which it may use as it likes.
    """

    cores: int
    way: str
    milliseconds: float
    cpu_milliseconds: float
    speed: float


@dataclass(frozen=True)
class PrepFigures:
    """What was measured, on what.

    clips: different ones; prep takes them again and again, to ``videos``, as a real data set
    has many. scaling: two workers on two cores over one on one; 0 where there is one core.
    decode_scaling: the same of decoding alone: what a second core of the machine is worth.
    worker_mib: the largest process that prep started.
    """

    clips: int
    videos: int
    rounds: int
    ffmpeg: str
    ways: tuple[WayFigures, ...]
    scaling: float
    decode_scaling: float
    worker_mib: float


@dataclass(frozen=True)
class _Taken:
    seconds: float
    cpu_seconds: float


def bench_prep(
    root: Path, *, clips: int = 8, videos: int = 320, rounds: int = 5, ffmpeg: str | None = None
) -> PrepFigures:
    """Time every way on the videos below ``root``, ``rounds`` times, one way after the other.

    Raises `UserError` where there are no videos, or one of them cannot be prepared.
    """
    tool = find_ffmpeg(ffmpeg)
    sources = find_clips(root, clips)
    with tempfile.TemporaryDirectory(prefix="tasd-bench-") as folder:
        ways = _ways(sources, tool, Path(folder), videos=videos)
        order = list(ways) * rounds
        taken: dict[Way, list[_Taken]] = {way: [] for way in ways}
        for way in track(order, total=len(order), what="bench prep", unit="runs"):
            with _confined(way[0]):
                taken[way].append(ways[way]())
    return PrepFigures(
        clips=len(sources),
        videos=videos,
        rounds=rounds,
        ffmpeg=tool.version,
        ways=way_figures(taken),
        scaling=_scaling(taken[1, PREP], taken.get((2, PREP), [])),
        decode_scaling=_scaling(taken[1, DECODE], taken.get((2, DECODE_TWO), [])),
        worker_mib=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    )


def _scaling(one: Sequence[_Taken], two: Sequence[_Taken]) -> float:
    """How many times as fast two cores are as one, in the median of the rounds."""
    ratios = [a.seconds / b.seconds for a, b in zip(one, two, strict=False)]
    return statistics.median(ratios or [0.0])


def find_clips(root: Path, most: int) -> list[Path]:
    """Some videos below a folder, from all of it. Raises `UserError` where there are none."""
    files = (path for path in root.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    found = sorted(path for path in files if path.is_file())
    if not found:
        raise UserError(f"there is no video below {root}; name a folder of videos with --root")
    return found[:: max(1, len(found) // most)][:most]


def way_figures(taken: Mapping[Way, Sequence[_Taken]]) -> tuple[WayFigures, ...]:
    """The figures of each way from what it took in each round, for one video."""
    figures = []
    for (cores, name), rounds in taken.items():
        pairs = zip(taken[cores, FIELD], rounds, strict=True)
        figures.append(
            WayFigures(
                cores=cores,
                way=name,
                milliseconds=1000 * statistics.median(one.seconds for one in rounds),
                cpu_milliseconds=1000 * statistics.median(one.cpu_seconds for one in rounds),
                speed=statistics.median(field.seconds / own.seconds for field, own in pairs),
            )
        )
    return tuple(figures)


def prep_table(figures: PrepFigures) -> Table:
    """The figures for a person to read."""
    scaling = (
        f"2 workers on 2 cores are {figures.scaling:.2f} times as fast as 1 on 1 "
        f"(decoding alone: {figures.decode_scaling:.2f}); "
    )
    table = Table(
        title=f"one video of {figures.clips} clips; {figures.rounds} rounds, {figures.ffmpeg}",
        caption=f"{scaling if figures.scaling else ''}"
        f"no process took more than {figures.worker_mib:.0f} MiB",
    )
    table.add_column("cores", justify="right")
    table.add_column("way")
    for heading in ("ms", "CPU ms", "speed"):
        table.add_column(heading, justify="right")
    for way in figures.ways:
        numbers = (f"{way.milliseconds:,.1f}", f"{way.cpu_milliseconds:,.1f}", f"{way.speed:.2f}x")
        table.add_row(str(way.cores), way.way, *numbers)
    return table


def _ways(
    clips: Sequence[Path], tool: Ffmpeg, folder: Path, *, videos: int
) -> dict[Way, Callable[[], _Taken]]:
    ways: dict[Way, Callable[[], _Taken]] = {
        (1, FIELD): lambda: _field(clips, tool, folder, at_once=1),
        (1, DECODE): lambda: _decode(clips, tool, at_once=1),
        (1, PREP): lambda: _prepare(clips, tool, folder, videos=videos, workers=1),
        (2, FIELD): lambda: _field(clips, tool, folder, at_once=1),
        (2, FIELD_TWO): lambda: _field(clips, tool, folder, at_once=2),
        (2, DECODE_TWO): lambda: _decode(clips, tool, at_once=2),
        (2, PREP): lambda: _prepare(clips, tool, folder, videos=videos, workers=2),
    }
    return {way: work for way, work in ways.items() if way[0] <= len(_cores())}


def _cores() -> list[int]:
    """The processors this process may use; where the system cannot say, one."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


@contextmanager
def _confined(cores: int) -> Iterator[None]:
    """Keep this process, and those that it starts, to so many cores."""
    every = _cores()
    if len(every) > 1:
        os.sched_setaffinity(0, every[:cores])
    try:
        yield
    finally:
        if len(every) > 1:
            os.sched_setaffinity(0, every)


def _field(clips: Sequence[Path], tool: Ffmpeg, folder: Path, *, at_once: int) -> _Taken:
    """Every frame of each clip into a folder of its own, the shorter side 256 pixels."""

    def extract(number: int, clip: Path) -> None:
        target = folder / "jpg" / str(number)
        target.mkdir(parents=True)
        filters = ["-vf", SHORT_SIDE, "-q:v", str(JPEG_QUALITY)]
        _run(tool, clip, *filters, str(target / "%05d.jpg"))

    # Twice as many, so that two at a time are both busy to the end.
    many = list(clips) * at_once
    with _timed(len(many)) as taken, ThreadPoolExecutor(at_once) as pool:
        list(pool.map(extract, range(len(many)), many))
    shutil.rmtree(folder / "jpg")
    return taken[0]


def _decode(clips: Sequence[Path], tool: Ffmpeg, *, at_once: int) -> _Taken:
    """The floor; two at a time tell what a second core of this machine is worth."""

    def decode(clip: Path) -> None:
        _run(tool, clip, "-map", "0:V:0", "-f", "null", "-", threads=1)

    many = list(clips) * at_once
    with _timed(len(many)) as taken, ThreadPoolExecutor(at_once) as pool:
        list(pool.map(decode, many))
    return taken[0]


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
) -> _Taken:
    """All of prep, on links to the clips."""
    root, store = folder / "videos", folder / "store"
    root.mkdir()
    sources = []
    for number in range(videos):
        clip = clips[number % len(clips)]
        name = f"{number:05}{clip.suffix}"
        (root / name).symlink_to(clip.absolute())
        sources.append(SourceVideo("clips", name, name, clip.stat().st_size))
    settings = PrepSettings(root, store, "folder", FrameSettings(), tool)
    with _timed(videos) as taken:
        report = prepare(Sources(tuple(sources)), settings, workers=workers)
    shutil.rmtree(root)
    shutil.rmtree(store)
    if report.losses:
        raise UserError(f"{report.remarks[0].reason}: leave such videos out of --root")
    return taken[0]


@contextmanager
def _timed(videos: int) -> Iterator[list[_Taken]]:
    """Wall and processor time of a block, with the processes it waited for, for each video."""
    taken: list[_Taken] = []
    began, cpu = time.perf_counter(), _cpu()
    yield taken
    taken.append(_Taken((time.perf_counter() - began) / videos, (_cpu() - cpu) / videos))


def _cpu() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
