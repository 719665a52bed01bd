"""Evaluation from cached features beside the field's way, the network in every episode.

Scoring is measured whole where that takes seconds. The field's way takes hours: it is measured
on a few episodes and multiplied, and so are the slower matchers; what was measured is told.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from tasd import recipes
from tasd.config import replace
from tasd.device import resolve_precision
from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.evaluation.prepared import PreparedVideos, prepare
from tasd.evaluation.score import compared
from tasd.features.store import FeatureStore
from tasd.matchers import MATCHERS, build
from tasd.matchers.base import Matcher
from tasd.model import Model, build_model
from tasd.progress import track
from tasd.types import Scores, Task

FRAMES, SIDE = 8, 7
CLASSES, VIDEOS_EACH = 24, 100  # the test split of Kinetics-100
FEWER_VIDEOS_EACH = 6  # for matchers that read maps: 1.6 MB a video
TRIAL, LONGEST = 40, 8.0  # episodes to guess a rate from; seconds to measure a matcher for
VIDEOS_AT_ONCE = 4


@dataclass(frozen=True)
class MatcherFigures:
    """Scoring with one matcher.

    videos, episodes: what was measured. prepare: seconds for each video, once.
    episodes_per_second: drawing, gathering and comparing, `prepare` aside. seconds: for all
    episodes and videos of the bench, everything counted; measured where ``whole``.
    """

    matcher: str
    videos: int
    episodes: int
    prepare: float
    episodes_per_second: float
    seconds: float
    whole: bool


@dataclass(frozen=True)
class EvaluateFigures:
    """What was measured, on what; times in seconds.

    per_video: the network, once for a video. per_episode: the network and the matcher on all
    videos of an episode. cached, recomputed: all episodes by either way; neither decodes.
    """

    episodes: int
    task: str
    videos: int
    channels: int
    backbone: str
    size: int
    precision: str
    device: str
    cores: int
    rounds: int
    sampled: int
    per_video: float
    per_episode: float
    cached: float
    recomputed: float
    matchers: tuple[MatcherFigures, ...]

    @property
    def speed(self) -> float:
        """How many times faster the cached way is, as a whole."""
        return self.recomputed / self.cached


@dataclass(frozen=True)
class Bench:
    """What to measure; the defaults are the paper's network on Kinetics-100."""

    episodes: int = 10_000
    way: int = 5
    shot: int = 1
    queries: int = 1
    backbone: str = "resnet50"
    size: int = 224
    device: str = "cpu"
    rounds: int = 3
    sampled: int = 2

    @property
    def fewest(self) -> int:
        """Videos of each class that matchers which read maps are measured with."""
        return max(FEWER_VIDEOS_EACH, self.shot + self.queries)

    def table(self, features: FeatureStore, count: int) -> EpisodeTable:
        """The first ``count`` episodes."""
        classes = features.classes("test")
        sampler = EpisodeSampler(classes, self.way, self.shot, self.queries, count, seed=0)
        return EpisodeTable.draw(sampler)


def bench_evaluate(bench: Bench, *, names: Sequence[str] = ()) -> EvaluateFigures:
    """Measure the matchers called ``names``, all without; the first one's is the cached way."""
    names = names or tuple(MATCHERS)
    config = replace(
        recipes.make("baseline", dataset="kinetics", shot=1),
        [("network.backbone", bench.backbone), ("network.weights", "none")],
    )
    torch.manual_seed(0)
    model = build_model(config, classes=1).eval().to(bench.device)
    channels = model.backbone.channels
    per_video, per_episode = _network(model, bench)
    scored = tuple(
        _matcher(name, channels, bench)
        for name in track(names, total=len(names), what="bench evaluate", unit="matchers")
    )
    videos = CLASSES * VIDEOS_EACH
    return EvaluateFigures(
        episodes=bench.episodes,
        task=bench.table(
            random_features(8, videos_each=bench.shot + bench.queries), 1
        ).shape_text(),
        videos=videos,
        channels=channels,
        backbone=bench.backbone,
        size=bench.size,
        precision=resolve_precision(model.precision, torch.device(bench.device)),
        device=bench.device,
        cores=len(os.sched_getaffinity(0)),
        rounds=bench.rounds,
        sampled=bench.sampled,
        per_video=per_video,
        per_episode=per_episode,
        cached=videos * per_video + scored[0].seconds,
        recomputed=bench.episodes * per_episode,
        matchers=scored,
    )


def random_features(channels: int, *, videos_each: int, maps: bool = False) -> FeatureStore:
    """Noise in the shape of the test split's features."""
    random = np.random.default_rng(0)
    names = tuple(f"class {c:02d}" for c in range(CLASSES))
    classes = tuple(name for name in names for _ in range(videos_each))
    shape = (len(classes), FRAMES, channels)
    return FeatureStore(
        path=Path("noise"),
        features=random.standard_normal(shape, np.float32),
        maps=random.standard_normal((*shape, SIDE, SIDE), np.float32).astype(np.float16)
        if maps
        else None,
        videos=tuple(f"{name}/{i}" for i, name in enumerate(classes)),
        video_class=classes,
        splits={"train": (), "val": (), "test": names},
    )


def _matcher(name: str, channels: int, bench: Bench) -> MatcherFigures:
    """Guess the rate from a few episodes, then measure as many as fit into the time."""
    torch.manual_seed(0)
    matcher = build(name, channels, frames=FRAMES)
    each = bench.fewest if matcher.needs_maps else VIDEOS_EACH
    features = random_features(channels, videos_each=each, maps=matcher.needs_maps)
    device, trial = torch.device(bench.device), bench.table(features, TRIAL)

    def prepared() -> PreparedVideos:
        with torch.inference_mode():
            return prepare(matcher.to(device).eval(), features, trial, device)

    def scored(count: int) -> Callable[[], object]:
        return lambda: compared(matcher, ready, bench.table(features, count))

    ready = prepared()
    scored(TRIAL)()  # the first calls also start threads and choose kernels
    preparing = _seconds(prepared, device)
    one = _seconds(scored(TRIAL), device) / TRIAL
    count = int(min(bench.episodes, max(TRIAL, LONGEST / one)))
    taken = statistics.median(_seconds(scored(count), device) for _ in range(bench.rounds))
    whole = count == bench.episodes and each == VIDEOS_EACH
    rate = count / taken
    videos = len(features.videos)
    everything = CLASSES * VIDEOS_EACH * preparing / videos + bench.episodes / rate
    return MatcherFigures(
        matcher=name,
        videos=videos,
        episodes=count,
        prepare=preparing / videos,
        episodes_per_second=rate,
        seconds=everything,
        whole=whole,
    )


def _network(model: Model, bench: Bench) -> tuple[float, float]:
    """Seconds for one video on its own account, and for one episode with its matcher."""
    device = torch.device(bench.device)
    members = bench.way * (bench.shot + bench.queries)
    shape = (bench.size, bench.size, 3)
    pixels = torch.randint(0, 256, (members, FRAMES, *shape), dtype=torch.uint8, device=device)

    def videos() -> None:
        with torch.inference_mode():
            model(pixels[:VIDEOS_AT_ONCE])

    def episode() -> None:
        with torch.inference_mode():
            _direct(model, model.matcher, pixels, bench)

    videos()  # the first call also chooses kernels
    alone, whole = [], []
    for _ in range(bench.sampled):
        alone.append(_seconds(videos, device))
        whole.append(_seconds(episode, device))
    return statistics.median(alone) / VIDEOS_AT_ONCE, statistics.median(whole)


def _direct(model: Model, matcher: Matcher, pixels: Tensor, bench: Bench) -> Tensor:
    """The scores of an episode from its pixels."""
    frames = model(pixels).frames[None]
    shots = bench.way * bench.shot
    labels = torch.arange(bench.way, device=pixels.device).repeat_interleave(bench.shot)
    task = Task(bench.way, frames[:, :shots], frames[:, shots:], labels[None])
    scores: Scores = matcher(task)
    return scores.logits.cpu()


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def evaluate_table(figures: EvaluateFigures) -> Table:
    """The figures for a person to read."""
    table = Table(
        title=f"{figures.episodes:,} episodes, {figures.task}; {figures.videos:,} videos x "
        f"{FRAMES} frames x {figures.channels}; {figures.cores} cores, {figures.device}",
        caption=_caption(figures),
        caption_justify="left",
    )
    table.add_column("matcher")
    for heading in ("episodes/s", "prepare, ms/video", "all, s", "measured"):
        table.add_column(heading, justify="right")
    for row in figures.matchers:
        part = f"{row.episodes:,} episodes, {row.videos:,} videos"
        table.add_row(
            row.matcher,
            f"{row.episodes_per_second:,.0f}",
            f"{1000 * row.prepare:.2f}",
            f"{row.seconds:,.1f}",
            "whole" if row.whole else f"{part}; multiplied",
        )
    return table


def _caption(figures: EvaluateFigures) -> str:
    network = f"{figures.backbone} at {figures.size} pixels, {figures.precision}"
    return (
        f"{network}: each video once {figures.videos:,} x {figures.per_video:.3f} s, with "
        f"{figures.matchers[0].matcher} {figures.cached:,.0f} s in all; the field's way, every "
        f"episode through the network, {figures.episodes:,} x {figures.per_episode:.2f} s = "
        f"{figures.recomputed:,.0f} s. The cached way is {figures.speed:.0f} times faster. Times "
        f"of the network are medians of {figures.sampled} samples, multiplied; decoding is in "
        "neither."
    )
