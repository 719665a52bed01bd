"""Validation on the same few hundred episodes of the validation classes each time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from tasd.config import DataOptions, EpisodeOptions, TrainingOptions
from tasd.episodes import EpisodeSampler, View, evaluation_view
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.metrics import episode_interval
from tasd.evaluation.score import score
from tasd.extraction.attention import attention
from tasd.extraction.forward import forward_views, in_batches
from tasd.extraction.inference import inference_copy
from tasd.features.store import FeatureStore
from tasd.loader import open_clips
from tasd.model import Model
from tasd.runs.checkpoint import Best, Progress
from tasd.store import Store
from tasd.training.clock import Clock, Seconds
from tasd.training.distributed import World
from tasd.training.log import RunLog
from tasd.types import Features

VIDEOS_PER_BATCH = 4
REHEARSED = 4  # batches that stand for all in a rehearsal; the first is a warm-up
# A seed of its own: every run on a store is validated on the same episodes.
SEED = 1_000_003


class Stopped(Exception):
    """The end of a validation that was told to stop before its last video."""


class Validation:
    """Accuracy of student and teacher on fixed episodes, from features computed once per video.

    The episodes have the way of training, or fewer classes where there are fewer. untrained: the
    network before training may be the best; ties keep the earlier.

    stopped: asked after each batch of videos; where it is True the validation raises `Stopped`.

    The constructor raises `UserError` where the validation classes cannot fill an episode.
    """

    def __init__(
        self,
        store: Store | FeatureStore,
        world: World,
        *,
        episode: EpisodeOptions,
        data: DataOptions,
        training: TrainingOptions,
        untrained: bool = False,
    ) -> None:
        self.store, self.world, self.data, self.untrained = store, world, data, untrained
        sampler = validation_sampler(store, episode, data, training)
        self.way, self._of_training = sampler.way, episode.way
        self.classes, self.episodes = sampler.videos, EpisodeTable.draw(sampler)
        self.stopped: Callable[[], bool] = lambda: False
        self.videos = [(video, name) for name, ids in sampler.videos.items() for video in ids]

    @property
    def other_way(self) -> str:
        """A line where the way of validation is not that of training; else empty."""
        if self.way == self._of_training:
            return ""
        return (
            f"validation is {self.way}-way and training {self._of_training}-way: there are "
            f"{len(self.classes)} validation classes"
        )

    def accuracy(self, network: Model) -> dict[str, float]:
        """Return the accuracy of a network, and half its 95 % interval over the episodes."""
        training = network.training
        features = self._features(network.eval())
        result = score(features, self.episodes, network.matcher, device=self.world.device)
        network.train(training)
        interval = episode_interval(result.accuracy)
        return {"accuracy": interval.mean, "half": interval.half}

    def __call__(
        self, networks: Mapping[str, Model], now: Progress, log: RunLog, **more: Any
    ) -> Best:
        """Score both networks, record the accuracies, and return the best validation so far.

        more: what else the line of metrics.jsonl is to hold.
        """
        accuracy: dict[str, Any] = {}
        best = now.best
        for name, network in networks.items():
            accuracy[name] = found = self.accuracy(network)
            if found["accuracy"] > best.accuracy and (now.episode or self.untrained):
                best = Best(now.episode, found["accuracy"], name)
            if self.data.features is None:
                training = network.training
                picture = attention_picture(network.eval(), self._first_video())
                log.picture(f"attention/{name}", now.episode, picture)
                network.train(training)
        plain = {"plain backbone without encoder": more["plain"]} if "plain" in more else {}
        accuracies = ", ".join(
            f"{name} {found['accuracy']:.1%} ±{found['half']:.1%}"
            for name, found in (accuracy | plain).items()
        )
        so_far = "before training" if now.episode == 0 else f"best {best.accuracy:.1%}"
        kind = f"{self.way}-way " if self.other_way else ""
        log.say(f"episode {now.episode:,}: {kind}validation {accuracies} ({so_far})")
        way = {"way": self.way} if self.other_way else {}
        log.record("validation", now.episode, **accuracy, **way, **more)
        return best

    def _features(self, network: Model) -> FeatureStore:
        """Compute the features of all validation videos, shared among the ranks."""
        size = self.world.size
        mine = [video for video, _ in self.videos[self.world.rank :: size]]
        frames, maps = [], []
        for features in self._forward(network, mine):
            frames.append(features.frames)
            maps += _kept(features.maps)
        counts = [len(self.videos[r::size]) for r in range(size)]
        return self._held(self._all(frames, counts), self._all(maps, counts) if maps else None)

    def _forward(self, network: Model, videos: Sequence[str]) -> Iterator[Features]:
        """Yield the features of a few videos at a time, maps where the matcher reads them."""
        batches, swift = self._batches(videos), inference_copy(network)
        for features in forward_views(swift.condensed, self.store, batches, **self._loading):
            if self.stopped():
                raise Stopped
            yield features if network.matcher.needs_maps else Features(features.frames)

    def _held(
        self, frames: Float[np.ndarray, "videos ..."], maps: Float[np.ndarray, "videos ..."] | None
    ) -> FeatureStore:
        """Return the features of all validation videos, in the order of the ranks."""
        size = self.world.size
        order = [video for r in range(size) for video in self.videos[r::size]]
        return FeatureStore(
            path=Path(self.store.path),
            features=frames,
            maps=maps,
            videos=tuple(video for video, _ in order),
            video_class=tuple(name for _, name in order),
            splits={"val": tuple(self.classes)},
        )

    def rehearse(self, network: Model) -> Seconds:
        """Return about how long `accuracy` takes: the first batches of videos, and all episodes.

        The episodes are scored on the features of those few videos, repeated, so that memory is
        that of a whole validation.
        """
        training = network.training
        features, clock = [], Clock()
        laps = []
        videos = [video for video, _ in self.videos[: REHEARSED * VIDEOS_PER_BATCH]]
        for found in self._forward(network.eval(), videos):
            features.append(found)
            laps.append(clock.lap())
        steady = sum(laps[1:], Seconds()) * (1 / (len(laps) - 1)) if len(laps) > 1 else laps[0]
        batches = -(-len(self.videos) // (VIDEOS_PER_BATCH * self.world.size))
        frames = torch.cat([found.frames for found in features]).cpu().numpy()
        maps = [part.cpu().numpy() for found in features for part in _kept(found.maps)]
        held = self._held(self._repeated(frames), self._repeated(*maps) if maps else None)
        clock.lap()
        score(held, self.episodes, network.matcher, device=self.world.device)
        network.train(training)
        return laps[0] + steady * (batches - 1) + clock.lap()

    def _repeated(self, *parts: Float[np.ndarray, "few ..."]) -> Float[np.ndarray, "videos ..."]:
        """Repeat the features of a few videos until there are as many as validation videos."""
        few = np.concatenate(parts)
        return np.asarray(np.resize(few, (len(self.videos), *few.shape[1:])))

    def _all(self, parts: list[Tensor], counts: list[int]) -> Float[np.ndarray, "..."]:
        return self.world.gathered(torch.cat(parts), counts=counts).cpu().numpy()

    def _batches(self, videos: Sequence[str]) -> list[Sequence[View]]:
        views = [evaluation_view(video, self.data.frames) for video in videos]
        return in_batches(views, VIDEOS_PER_BATCH)

    @property
    def _loading(self) -> dict[str, Any]:
        """Options of the loader."""
        return {
            "size": self.data.crop,
            "device": self.world.device,
            "kind": self.data.loader,
            "threads": self.data.threads,
        }

    def _first_video(self) -> Tensor:
        batches = self._batches([self.videos[0][0]])
        pixels: Tensor = next(iter(open_clips(self.store, batches, **self._loading)))
        return pixels


def _way(classes: int, *, episode: EpisodeOptions, wanted: int | None, of: str) -> int:
    """Return the number of classes of a validation episode. Raises `UserError`."""
    if classes < 2:
        raise UserError(
            f"{of}: there {'is 1' if classes else 'are 0'}, and validation, which chooses the best "
            "checkpoint, needs 2 or more; prepare the store again with more validation classes"
        )
    if wanted is not None and wanted > classes:
        raise UserError(
            f"training.validation_way = {wanted} asks for more classes than {of} are ({classes}); "
            "lower it, or leave it out"
        )
    return wanted or min(episode.way, classes)


def _kept(maps: Float[Tensor, "videos channels time _ _"] | None) -> list[Tensor]:
    """Return the maps as a feature file holds them, or no maps."""
    return [] if maps is None else [maps.transpose(1, 2).half()]


def attention_picture(
    network: Model, frames: UInt8[Tensor, "1 time height width 3"]
) -> UInt8[np.ndarray, "height row 3"]:
    """Draw the frames of one video in a row, dark where the mean absolute feature is small."""
    size = tuple(frames.shape[2:4])
    maps = attention(network, frames, label="").frames
    light = functional.interpolate(maps[:, None], size=size, mode="bilinear")[:, 0]
    shaded = frames[0].float() * (0.25 + 0.75 * light[..., None])
    row = torch.cat(list(shaded), dim=1)
    return row.to(torch.uint8).cpu().numpy()


def validation_sampler(
    store: Store | FeatureStore,
    episode: EpisodeOptions,
    data: DataOptions,
    training: TrainingOptions,
) -> EpisodeSampler:
    """Return the validation episodes. Raises `UserError` where the classes cannot fill them."""
    classes = store.classes("val")
    source = f"the validation classes of {store.path}"
    return EpisodeSampler(
        videos=classes,
        way=_way(len(classes), episode=episode, wanted=training.validation_way, of=source),
        shot=episode.shot,
        queries=1,
        length=training.validation_episodes,
        seed=SEED,
        frames=data.frames,
        source=source,
    )
