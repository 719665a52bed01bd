"""The loader beside the field's two usual ways, on the same episodes, in one run.

Rounds are interleaved, so that whatever else the machine does falls on all alike; a speed is
the median of ratios within a round, and a time the median over rounds. Like is compared with like:
uint8, which the device normalises, with uint8, and float32, normalised by the CPU, with float32.
"""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.table import Table

from tasd.bench.field_loader import FieldLoader, jpeg_files, video_files
from tasd.episodes import View
from tasd.episodes.sampler import generator
from tasd.loader import open_views
from tasd.progress import track
from tasd.store import Store
from tasd.types import Normalisation

OURS, OURS_FLOAT = "tasd, uint8", "tasd, float32"
FIELD_BYTES, FIELD = "Pillow, .jpg files, uint8", "Pillow, .jpg files, float32"
FIELD_VIDEOS = "decord, videos, float32"
# What each way is compared with: Pillow, handing over the same kind of numbers.
PEER = {OURS: FIELD_BYTES, OURS_FLOAT: FIELD, FIELD_VIDEOS: FIELD}


@dataclass(frozen=True)
class WayFigures:
    """One way of loading; ``speed`` is against Pillow and .jpg files in the same rounds.

    Pillow is asked for the same kind of numbers: uint8, or float32 and normalised.
    """

    way: str
    milliseconds: float
    frames_per_second: float
    speed: float


@dataclass(frozen=True)
class LoaderFigures:
    """What was measured, on what; milliseconds are of one episode."""

    videos: int
    frames: int
    size: int
    device: str
    cores: int
    rounds: int
    episodes: int
    ways: tuple[WayFigures, ...]


def bench_loader(
    store: Store,
    *,
    videos: Path | None = None,
    clips: int = 30,
    frames: int = 8,
    size: int = 224,
    device: torch.device | str = "cpu",
    kind: str = "auto",
    threads: int = 2,
    workers: int = 2,
    rounds: int = 5,
    episodes: int = 8,
    seed: int = 0,
) -> LoaderFigures:
    """Time every way on the same ``episodes``, ``rounds`` times, one way after the other.

    An episode is ``clips`` videos of the store, whatever their class, with replacement: a small
    store will do. videos: root of the data set that the store was prepared from, for decord;
    without it that way is left out. threads: of our loader. workers: of each DataLoader.

    Raises `UserError` where decord or a video is missing, or a frame is smaller than ``size``.
    """
    target = torch.device(device)
    drawn = [episode(store, i, clips=clips, frames=frames, seed=seed) for i in range(episodes + 1)]
    ways: dict[str, Iterable[object]] = {
        way: open_views(
            store,
            drawn,
            size=size,
            device=target,
            kind=kind,
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
        seconds = _interleaved(ways, rounds=rounds, device=target)
    return LoaderFigures(
        videos=clips,
        frames=clips * frames,
        size=size,
        device=str(target),
        cores=len(os.sched_getaffinity(0)),
        rounds=rounds,
        episodes=episodes,
        ways=way_figures(seconds, frames=clips * frames, episodes=episodes),
    )


def episode(store: Store, index: int, *, clips: int, frames: int, seed: int) -> list[View]:
    """What the loaders are asked for: random videos, segments, crops and flips."""
    ids, random = list(store.videos), generator(seed, index, "bench")
    return [
        View(
            ids[int(random.random() * len(ids))],
            positions=tuple(float((s + random.random()) / frames) for s in range(frames)),
            crop=(random.random(), random.random()),
            flip=random.random() < 0.5,
        )
        for _ in range(clips)
    ]


def way_figures(
    seconds: Mapping[str, Sequence[float]], *, frames: int, episodes: int
) -> tuple[WayFigures, ...]:
    """The figures of each way from its seconds in each round of ``episodes``."""
    found = []
    for name, taken in seconds.items():
        one = statistics.median(taken) / episodes
        peer = seconds[PEER.get(name, name)]
        ratios = [field / own for field, own in zip(peer, taken, strict=True)]
        found.append(WayFigures(name, 1000 * one, frames / one, statistics.median(ratios)))
    return tuple(found)


def loader_table(figures: LoaderFigures) -> Table:
    """The figures for a person to read."""
    table = Table(
        title=f"one episode: {figures.videos} videos, {figures.frames} frames of {figures.size} "
        f"pixels; {figures.cores} cores, {figures.device}, {figures.rounds} rounds",
        caption=_caption(figures),
        caption_justify="left",
        min_width=80,
    )
    table.add_column("way")
    for heading in ("ms", "frames/s", "speed"):
        table.add_column(heading, justify="right")
    for way in figures.ways:
        rate = f"{way.frames_per_second:,.0f}"
        table.add_row(way.way, f"{way.milliseconds:,.1f}", rate, f"{way.speed:.2f}x")
    return table


def _caption(figures: LoaderFigures) -> str:
    speed = {way.way: way.speed for way in figures.ways}
    told = (
        f"float32 and normalised on the CPU, tasd is {speed[OURS_FLOAT]:.1f} times as fast as "
        f"Pillow; as uint8, which the device normalises, {speed[OURS]:.1f} times"
    )
    if FIELD_VIDEOS in speed:
        told += f"; decord, float32, is {speed[FIELD_VIDEOS]:.2f} times as fast as Pillow"
    took = {way.way: way.milliseconds for way in figures.ways}
    ready = f"{took[FIELD] / took[OURS]:.1f} times as fast as Pillow has the field's float32"
    if FIELD_VIDEOS in took:
        ready += f" and {took[FIELD_VIDEOS] / took[OURS]:.1f} times as fast as decord"
    return (
        f"Like with like: {told}. What training takes, uint8, tasd has ready {ready}. The field's "
        "loaders are DataLoaders with worker processes."
    )


def _interleaved(
    ways: Mapping[str, Iterable[object]], *, rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each way in each round; another one goes first in each."""
    names = list(ways)
    turns = itertools.product(range(rounds), range(len(names)))
    order = [names[sum(turn) % len(names)] for turn in turns]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in track(order, total=len(order), what="bench loader", unit="runs"):
        seconds[name].append(_seconds(ways[name], device))
    return seconds


def _seconds(way: Iterable[object], device: torch.device) -> float:
    """From the first batch to the last: what it takes to start processes is nobody's loss."""
    batches = iter(way)
    next(batches)
    began = time.perf_counter()
    for batch in batches:
        del batch
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
