"""The loader beside the field's two usual ways, on the same episodes.

Like is compared with like: uint8, which the device normalises, with uint8, and float32, which the
CPU normalises, with float32.
"""

import collections
import functools
import statistics
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.table import Table

from tasd.bench.field_loader import FieldLoader, jpeg_files, video_files
from tasd.bench.rounds import Conditions, interleaved, median_ratio, table_of, timed
from tasd.episodes import View
from tasd.episodes.sampler import generator
from tasd.loader import open_views
from tasd.store import Store
from tasd.types import Normalisation

OURS, OURS_FLOAT = "tasd, uint8", "tasd, float32"
FIELD_BYTES, FIELD = "Pillow, .jpg files, uint8", "Pillow, .jpg files, float32"
FIELD_VIDEOS = "decord, videos, float32"
# The way that each one is compared with: Pillow with pixels of the same type.
PEER = {OURS: FIELD_BYTES, OURS_FLOAT: FIELD, FIELD_VIDEOS: FIELD}


@dataclass(frozen=True)
class LoaderTime:
    """Time of one way to load an episode.

    speed: relative to Pillow on .jpg files with pixels of the same type, in the same round.
    """

    way: str
    milliseconds: float
    frames_per_second: float
    speed: float


@dataclass(frozen=True, kw_only=True)
class LoaderTimes(Conditions):
    """Times of all ways to load an episode of ``videos``, with ``frames`` in all."""

    videos: int
    frames: int
    size: int
    episodes: int
    ways: tuple[LoaderTime, ...]


def bench_loader(
    store: Store,
    *,
    videos: Path | None = None,
    clips: int = 30,
    frames: int = 8,
    size: int = 224,
    device: torch.device | str = "cpu",
    threads: int = 2,
    workers: int = 2,
    rounds: int = 5,
    episodes: int = 8,
) -> LoaderTimes:
    """Time every way on the same ``episodes`` in interleaved rounds.

    clips: videos in an episode, drawn from the store with replacement, so that a small store is
    enough. videos: root of the data set that the store was prepared from; decord is left out
    without it. threads: of this project's loader. workers: of each DataLoader.

    Raises `UserError` where decord or a video is missing, or a frame is smaller than ``size``.
    """
    target = torch.device(device)
    drawn = [episode(store, i, clips=clips, frames=frames) for i in range(episodes + 1)]
    ways: dict[str, Iterable[object]] = {
        way: open_views(
            store,
            drawn,
            size=size,
            device=target,
            threads=threads,
            normalise=normalise,
        )
        for way, normalise in ((OURS, None), (OURS_FLOAT, Normalisation()))
    }
    with tempfile.TemporaryDirectory(prefix="tasd-bench-") as folder:
        files = jpeg_files(store, drawn, size=size, folder=Path(folder))
        ways[FIELD] = FieldLoader(files, device=target, workers=workers)
        plain = replace(files, normalised=False)
        ways[FIELD_BYTES] = FieldLoader(plain, device=target, workers=workers)
        if videos is not None:
            originals = video_files(store, drawn, size=size, root=videos)
            ways[FIELD_VIDEOS] = FieldLoader(originals, device=target, workers=workers)
        seconds = interleaved(
            {way: functools.partial(_seconds, batches, target) for way, batches in ways.items()},
            rounds=rounds,
            what="bench loader",
        )
    return LoaderTimes(
        videos=clips,
        frames=clips * frames,
        size=size,
        device=str(target),
        rounds=rounds,
        episodes=episodes,
        ways=loader_times(seconds, frames=clips * frames, episodes=episodes),
    )


def episode(store: Store, index: int, *, clips: int, frames: int) -> list[View]:
    """Draw an episode: random videos, segments, crops and flips."""
    ids, random = list(store.videos), generator(0, index, "bench")
    return [
        View(
            ids[int(random.random() * len(ids))],
            positions=tuple(float((s + random.random()) / frames) for s in range(frames)),
            crop=(random.random(), random.random()),
            flip=random.random() < 0.5,
        )
        for _ in range(clips)
    ]


def loader_times(
    seconds: Mapping[str, Sequence[float]], *, frames: int, episodes: int
) -> tuple[LoaderTime, ...]:
    """Summarise the seconds of each way in each round of ``episodes``."""
    times = []
    for name, taken in seconds.items():
        one = statistics.median(taken) / episodes
        speed = median_ratio(seconds[PEER.get(name, name)], taken)
        times.append(LoaderTime(name, 1000 * one, frames / one, speed))
    return tuple(times)


def loader_table(times: LoaderTimes) -> Table:
    """Lay out the times as a table."""
    return table_of(
        f"one episode: {times.videos} videos, {times.frames} frames of {times.size} pixels; "
        f"{times.cores} cores, {times.device}, {times.rounds} rounds",
        _caption(times),
        {
            "way": [way.way for way in times.ways],
            "ms": [f"{way.milliseconds:,.1f}" for way in times.ways],
            "frames/s": [f"{way.frames_per_second:,.0f}" for way in times.ways],
            "speed": [f"{way.speed:.2f}x" for way in times.ways],
        },
    )


def _caption(times: LoaderTimes) -> str:
    speed = {way.way: way.speed for way in times.ways}
    like = (
        f"float32 and normalised on the CPU, tasd is {speed[OURS_FLOAT]:.1f} times as fast as "
        f"Pillow; as uint8, which the device normalises, {speed[OURS]:.1f} times"
    )
    if FIELD_VIDEOS in speed:
        like += f"; decord, float32, is {speed[FIELD_VIDEOS]:.2f} times as fast as Pillow"
    took = {way.way: way.milliseconds for way in times.ways}
    unlike = f"{took[FIELD] / took[OURS]:.1f} times as fast as Pillow loads the field's float32"
    if FIELD_VIDEOS in took:
        unlike += f" and {took[FIELD_VIDEOS] / took[OURS]:.1f} times as fast as decord"
    return (
        f"Like with like: {like}. tasd loads uint8, which training takes, {unlike}. The field's "
        "loaders are DataLoaders with worker processes."
    )


def _seconds(way: Iterable[object], device: torch.device) -> float:
    """Time the batches after the first; the first one includes the start of processes."""
    batches = iter(way)
    next(batches)
    return timed(lambda: collections.deque(batches, maxlen=0), str(device))()
