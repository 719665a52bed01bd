"""Evaluation from cached features beside the field's way, the network in every episode.

Scoring is measured as a whole where that takes seconds. The field's way takes hours and some
matchers take minutes: these are measured on a few episodes and multiplied. The table shows what
was measured.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from tasd import recipes
from tasd.bench.rounds import Conditions, interleaved, table_of, timed
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
from tasd.recipes.settings import replace
from tasd.types import Scores, Task

FRAMES, SIDE = 8, 7
CLASSES, VIDEOS_EACH = 24, 100  # the test split of Kinetics-100
FEWER_VIDEOS_EACH = 6  # for matchers that read maps: 1.6 MB a video
TRIAL, LONGEST = 40, 8.0  # episodes for an estimate of the rate; seconds for each matcher
VIDEOS_AT_ONCE = 4


@dataclass(frozen=True)
class MatcherTimes:
    """Times of scoring with one matcher.

    videos, episodes: numbers that were measured. prepare: seconds for each video, once.
    episodes_per_second: drawing, gathering and comparing, without `prepare`. seconds: for all
    episodes and videos of the benchmark; measured where ``whole``, else multiplied.
    """

    matcher: str
    videos: int
    episodes: int
    prepare: float
    episodes_per_second: float
    seconds: float
    whole: bool


@dataclass(frozen=True, kw_only=True)
class EvaluateTimes(Conditions):
    """Times of an evaluation in seconds, without decoding.

    per_video: the network on one video. per_episode: the network and the matcher on all videos
    of an episode. cached, recomputed: all episodes, each video once or in every episode. speed:
    of the first relative to the second.
    """

    episodes: int
    task: str
    videos: int
    channels: int
    backbone: str
    size: int
    precision: str
    sampled: int
    per_video: float
    per_episode: float
    cached: float
    recomputed: float
    speed: float
    matchers: tuple[MatcherTimes, ...]


@dataclass(frozen=True)
class NetworkTimes:
    """Seconds of the network for one video, and of network and matcher for one episode."""

    per_video: float
    per_episode: float


@dataclass(frozen=True)
class Bench:
    """Settings of the measurement; the defaults are the paper's network on Kinetics-100."""

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
    def videos_with_maps(self) -> int:
        """Number of videos of each class for matchers that read maps."""
        return max(FEWER_VIDEOS_EACH, self.shot + self.queries)

    def table(self, features: FeatureStore, count: int) -> EpisodeTable:
        """Draw the first ``count`` episodes."""
        classes = features.classes("test")
        sampler = EpisodeSampler(classes, self.way, self.shot, self.queries, count, seed=0)
        return EpisodeTable.draw(sampler)


def bench_evaluate(bench: Bench, *, names: Sequence[str] = ()) -> EvaluateTimes:
    """Measure the matchers ``names``, by default all; `cached` is the time of the first one."""
    names = names or tuple(MATCHERS)
    config = replace(
        recipes.make("baseline", dataset="kinetics", shot=1),
        [("network.backbone", bench.backbone), ("network.weights", "none")],
    )
    torch.manual_seed(0)
    model = build_model(config, classes=1).eval().to(bench.device)
    channels = model.backbone.channels
    network = _network(model, bench)
    scored = tuple(
        _matcher(name, channels, bench)
        for name in track(names, total=len(names), what="bench evaluate", unit="matchers")
    )
    videos = CLASSES * VIDEOS_EACH
    cached = videos * network.per_video + scored[0].seconds
    recomputed = bench.episodes * network.per_episode
    return EvaluateTimes(
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
        rounds=bench.rounds,
        sampled=bench.sampled,
        per_video=network.per_video,
        per_episode=network.per_episode,
        cached=cached,
        recomputed=recomputed,
        speed=recomputed / cached,
        matchers=scored,
    )


def random_features(channels: int, *, videos_each: int, maps: bool = False) -> FeatureStore:
    """Return noise in the shape of the test split's features."""
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


def _matcher(name: str, channels: int, bench: Bench) -> MatcherTimes:
    """Estimate the rate from a few episodes, then measure as many as fit into the time."""
    torch.manual_seed(0)
    matcher = build(name, channels, frames=FRAMES)
    each = bench.videos_with_maps if matcher.needs_maps else VIDEOS_EACH
    features = random_features(channels, videos_each=each, maps=matcher.needs_maps)
    device, trial = torch.device(bench.device), bench.table(features, TRIAL)

    def prepared() -> PreparedVideos:
        with torch.inference_mode():
            return prepare(matcher.to(device).eval(), features, trial, device)

    def scored(count: int) -> Callable[[], float]:
        return timed(lambda: compared(matcher, ready, bench.table(features, count)), bench.device)

    ready = prepared()
    scored(TRIAL)()  # the first calls also start threads and choose kernels
    preparing = timed(prepared, bench.device)()
    one = scored(TRIAL)() / TRIAL
    count = int(min(bench.episodes, max(TRIAL, LONGEST / one)))
    taken = statistics.median(scored(count)() for _ in range(bench.rounds))
    whole = count == bench.episodes and each == VIDEOS_EACH
    rate = count / taken
    videos = len(features.videos)
    everything = CLASSES * VIDEOS_EACH * preparing / videos + bench.episodes / rate
    return MatcherTimes(
        matcher=name,
        videos=videos,
        episodes=count,
        prepare=preparing / videos,
        episodes_per_second=rate,
        seconds=everything,
        whole=whole,
    )


def _network(model: Model, bench: Bench) -> NetworkTimes:
    """Time the network on a few videos, and network and matcher on an episode."""
    members = bench.way * (bench.shot + bench.queries)
    shape = (bench.size, bench.size, 3)
    pixels = torch.randint(
        0, 256, (members, FRAMES, *shape), dtype=torch.uint8, device=bench.device
    )

    def videos() -> None:
        with torch.inference_mode():
            model(pixels[:VIDEOS_AT_ONCE])

    def episode() -> None:
        with torch.inference_mode():
            _score(model, model.matcher, pixels, bench)

    videos()  # the first call also chooses kernels
    seconds = interleaved(
        {work: timed(work, bench.device) for work in (videos, episode)},
        rounds=bench.sampled,
        what="bench evaluate",
    )
    return NetworkTimes(
        per_video=statistics.median(seconds[videos]) / VIDEOS_AT_ONCE,
        per_episode=statistics.median(seconds[episode]),
    )


def _score(model: Model, matcher: Matcher, pixels: Tensor, bench: Bench) -> Tensor:
    """Compute the scores of an episode from its pixels."""
    frames = model(pixels).frames[None]
    shots = bench.way * bench.shot
    labels = torch.arange(bench.way, device=pixels.device).repeat_interleave(bench.shot)
    task = Task(bench.way, frames[:, :shots], frames[:, shots:], labels[None])
    scores: Scores = matcher(task)
    return scores.logits.cpu()


def evaluate_table(times: EvaluateTimes) -> Table:
    """Lay out the times as a table."""
    return table_of(
        f"{times.episodes:,} episodes, {times.task}; {times.videos:,} videos x "
        f"{FRAMES} frames x {times.channels}; {times.cores} cores, {times.device}",
        _caption(times),
        {
            "matcher": [row.matcher for row in times.matchers],
            "episodes/s": [f"{row.episodes_per_second:,.0f}" for row in times.matchers],
            "prepare, ms/video": [f"{1000 * row.prepare:.2f}" for row in times.matchers],
            "all, s": [f"{row.seconds:,.1f}" for row in times.matchers],
            "measured": [
                "whole"
                if row.whole
                else f"{row.episodes:,} episodes, {row.videos:,} videos; multiplied"
                for row in times.matchers
            ],
        },
    )


def _caption(times: EvaluateTimes) -> str:
    network = f"{times.backbone} at {times.size} pixels, {times.precision}"
    faster = times.speed >= 1
    ratio = times.speed if faster else 1 / times.speed
    shown = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"
    than = "faster" if faster else "slower, with so few episodes"
    return (
        f"{network}: each video once {times.videos:,} x {times.per_video:.3f} s, with "
        f"{times.matchers[0].matcher} {times.cached:,.0f} s in all; the field's way, every "
        f"episode through the network, {times.episodes:,} x {times.per_episode:.2f} s = "
        f"{times.recomputed:,.0f} s. The cached way is {shown} times {than}. Times of "
        f"the network are medians of {times.sampled} samples, multiplied; decoding is in neither."
    )
