"""Growth of time and memory with the number of videos and of episodes.

A cost that grows as n^1 doubles where n doubles. The exponent of a work is taken between the two
largest sizes, where what does not grow with n counts least.
"""

import contextlib
import functools
import gc
import math
import statistics
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from tasd.bench.rounds import Conditions, interleaved, table_of, timed
from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.store import Manifest, ShardEntry, ShardWriter, Store, shard_name, write_manifest
from tasd.store.format import SPLIT_NAMES

SETTINGS: dict[str, object] = {"frames": 1, "fps": None, "resize": "square", "size": 8}
IN_SHARD = 20_000  # videos
EACH, FEWEST_CLASSES = 1000, 20  # videos of a class; classes, of which a fifth is for testing
DRAWN = 1000  # episodes drawn from a store
CHANNELS, VIDEOS_EACH, MATCHER = 16, 12, "otam"  # of the evaluation, which is not what grows

Work = tuple[str, int]


@dataclass(frozen=True)
class Growth:
    """Costs of one kind of work at each size.

    seconds, peak: medians, and most bytes of Python's objects and numpy's arrays at a time.
    time_exponent, memory_exponent: between the two largest sizes.
    """

    work: str
    seconds: tuple[float, ...]
    peak: tuple[int, ...]
    time_exponent: float
    memory_exponent: float


@dataclass(frozen=True, kw_only=True)
class GrowthTimes(Conditions):
    """Costs of all kinds of work, for stores of ``sizes`` videos and as many episodes."""

    sizes: tuple[int, ...]
    works: tuple[Growth, ...]


def bench_growth(sizes: Sequence[int], *, rounds: int) -> GrowthTimes:
    """Measure each work at each of two or more rising sizes, in stores that it writes itself."""
    assert len(sizes) > 1, sizes
    assert list(sizes) == sorted(set(sizes)), sizes
    with tempfile.TemporaryDirectory(prefix="tasd-growth-") as folder:
        works: dict[Work, Callable[[], object]] = {}
        for size in sizes:
            path = Path(folder) / f"{size}"
            writing = functools.partial(tiny_store, path, size)
            writing()
            works |= {
                ("write a store", size): writing,
                ("open it", size): functools.partial(Store, path),
                ("its classes, a part", size): functools.partial(_classes, Store(path)),
                (f"draw {DRAWN:,} episodes", size): functools.partial(_draw, Store(path), DRAWN),
                ("evaluate n episodes", size): functools.partial(_evaluate, size),
            }
        _evaluate(10)  # imports, and what the first call of anything prepares
        with _without_older_objects():
            seconds = interleaved(
                {work: _after_cleaning(timed(run, "cpu")) for work, run in works.items()},
                rounds=rounds,
                warm_up=1,
                what="bench growth",
            )
            peaks = {work: _peak(run) for work, run in works.items()}
    names = list(dict.fromkeys(name for name, _ in works))
    medians = {work: statistics.median(values) for work, values in seconds.items()}
    return GrowthTimes(
        device="cpu",
        rounds=rounds,
        sizes=tuple(sizes),
        works=tuple(_growth(name, sizes, medians, peaks) for name in names),
    )


def _growth(
    name: str, sizes: Sequence[int], seconds: dict[Work, float], peaks: dict[Work, int]
) -> Growth:
    times = tuple(seconds[name, size] for size in sizes)
    memory = tuple(peaks[name, size] for size in sizes)
    grown = exponent(sizes, [float(most) for most in memory])
    return Growth(name, times, memory, exponent(sizes, times), grown)


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return e where the cost grows as n^e, between the two largest sizes."""
    return math.log(costs[-1] / costs[-2]) / math.log(sizes[-1] / sizes[-2])


def tiny_store(
    path: Path,
    videos: int,
    *,
    classes: int | None = None,
    in_shard: int = IN_SHARD,
    backwards: bool = False,
) -> Path:
    """Write a store of ``videos`` videos of one frame, which is a single byte and no picture.

    classes: by default one for each `EACH` videos, `FEWEST_CLASSES` or more.
    backwards: videos in falling order.
    """
    path.mkdir(parents=True, exist_ok=True)
    count = classes or max(FEWEST_CLASSES, videos // EACH)
    names = [f"class {c:05d}" for c in range(count)]
    entries: list[ShardEntry] = []
    for first in range(0, videos, in_shard):
        file = path / shard_name(len(entries))
        with ShardWriter(file, dataset="folder", settings=SETTINGS, ffmpeg="0") as writer:
            for number in range(first, min(first + in_shard, videos)):
                v = videos - 1 - number if backwards else number
                writer.add(
                    class_name=names[v * count // videos],
                    name=f"video {v:07d}",
                    jpegs=[b"x"],
                    times=[0.0],
                    size=(8, 8),
                )
        assert writer.entry is not None
        entries.append(writer.entry)
    edges = (0, count // 2, count * 4 // 5, count)
    splits = {split: tuple(names[edges[s] : edges[s + 1]]) for s, split in enumerate(SPLIT_NAMES)}
    write_manifest(path, Manifest("folder", "0", SETTINGS, tuple(entries), splits))
    return path


def _classes(store: Store) -> None:
    store.classes()
    store.only("train").classes("train")


def _draw(store: Store, count: int) -> None:
    sampler = EpisodeSampler(store.classes("train"), 5, 1, 1, count, seed=0)
    assert len(EpisodeTable.draw(sampler)) == count


def _evaluate(count: int) -> None:
    """Draw, score and summarise episodes on features of noise."""
    from tasd.bench.evaluate import random_features
    from tasd.evaluation.score import score_in_parts
    from tasd.evaluation.summary import summary_of
    from tasd.matchers import build

    features = random_features(CHANNELS, videos_each=VIDEOS_EACH)
    sampler = EpisodeSampler(features.classes("test"), 5, 1, 1, count, seed=0)
    episodes = EpisodeTable.draw(sampler)
    summary_of(score_in_parts(features, episodes, build(MATCHER, CHANNELS)), episodes)


@contextlib.contextmanager
def _without_older_objects() -> Iterator[None]:
    """Keep the garbage collector from the objects that exist: torch alone has a million."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _after_cleaning(seconds: Callable[[], float]) -> Callable[[], float]:
    """Collect the garbage of the work before, which is no part of this one."""

    def run() -> float:
        gc.collect()
        return seconds()

    return run


def _peak(work: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def growth_table(times: GrowthTimes) -> Table:
    """Lay out the costs as a table."""
    columns = {"work": [row.work for row in times.works]}
    for place, size in enumerate(times.sizes):
        columns[f"n = {size:,}, s"] = [f"{row.seconds[place]:.3f}" for row in times.works]
    columns["n^"] = [f"{row.time_exponent:.2f}" for row in times.works]
    columns["MiB"] = [f"{row.peak[-1] / 2**20:,.1f}" for row in times.works]
    columns["MiB, n^"] = [f"{row.memory_exponent:.2f}" for row in times.works]
    return table_of(
        f"n videos or episodes; {times.cores} cores",
        f"Medians of {times.rounds} interleaved rounds. n^: the exponent of the growth between the "
        "two largest n; 1 is linear. MiB: most memory of Python's objects and numpy's arrays at "
        f"the largest n, without the store that is open. Videos of one byte, {EACH:,} of a class; "
        f"episodes 5-way 1-shot, scored with {MATCHER} on {CHANNELS} channels.",
        columns,
    )
