"""Validation on the same few hundred episodes of the validation classes each time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from tasd.config import DataOptions, EpisodeOptions
from tasd.episodes import EpisodeSampler, View, evaluation_view
from tasd.episodes.table import EpisodeTable
from tasd.evaluation.metrics import episode_interval
from tasd.evaluation.score import score
from tasd.extraction.attention import attention
from tasd.extraction.forward import forward_views, in_batches
from tasd.features.store import FeatureStore
from tasd.loader import open_clips
from tasd.model import Model
from tasd.runs.checkpoint import Best, Progress
from tasd.store import Store
from tasd.training.distributed import World
from tasd.training.log import RunLog

VIDEOS_PER_BATCH = 4
# A seed of its own: every run on a store is validated on the same episodes.
SEED = 1_000_003


class Validation:
    """Accuracy of student and teacher on fixed episodes, from features computed once per video.

    The constructor raises `UserError` where the validation classes cannot fill an episode.
    """

    def __init__(
        self,
        store: Store | FeatureStore,
        world: World,
        *,
        episode: EpisodeOptions,
        data: DataOptions,
        episodes: int,
    ) -> None:
        self.store, self.world, self.data = store, world, data
        sampler = validation_sampler(store, episode, data, episodes=episodes)
        self.classes, self.episodes = sampler.videos, EpisodeTable.draw(sampler)
        self.videos = [(video, name) for name, ids in sampler.videos.items() for video in ids]

    def __call__(self, networks: Mapping[str, Model], now: Progress, log: RunLog) -> Best:
        """Score both networks, record the accuracies, and return the best validation so far."""
        accuracy: dict[str, Any] = {}
        best = now.best
        for name, network in networks.items():
            training = network.training
            result = score(
                self._features(network.eval()),
                self.episodes,
                network.matcher,
                device=self.world.device,
            )
            interval = episode_interval(result.accuracy)
            accuracy[name] = {"accuracy": interval.mean, "half": interval.half}
            if interval.mean > best.accuracy:
                best = Best(now.episode, interval.mean, name)
            if self.data.features is None:
                picture = attention_picture(network, self._first_video())
                log.picture(f"attention/{name}", now.episode, picture)
            network.train(training)
        accuracies = ", ".join(
            f"{name} {found['accuracy']:.1%} ±{found['half']:.1%}"
            for name, found in accuracy.items()
        )
        so_far = "before training" if now.episode == 0 else f"best {best.accuracy:.1%}"
        log.say(f"episode {now.episode:,}: validation {accuracies} ({so_far})")
        log.record("validation", now.episode, **accuracy)
        return best

    def _features(self, network: Model) -> FeatureStore:
        """Compute the features of all validation videos, shared among the ranks."""
        size = self.world.size
        mine = [video for video, _ in self.videos[self.world.rank :: size]]
        frames, maps = [], []
        batches = self._batches(mine)
        for features in forward_views(network.condensed, self.store, batches, **self._loading):
            frames.append(features.frames)
            if network.matcher.needs_maps and features.maps is not None:
                maps.append(features.maps.transpose(1, 2).half())
        counts = [len(self.videos[r::size]) for r in range(size)]
        order = [video for r in range(size) for video in self.videos[r::size]]
        return FeatureStore(
            path=Path(self.store.path),
            features=self._all(frames, counts),
            maps=self._all(maps, counts) if maps else None,
            videos=tuple(video for video, _ in order),
            video_class=tuple(name for _, name in order),
            splits={"val": tuple(self.classes)},
        )

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
    store: Store | FeatureStore, episode: EpisodeOptions, data: DataOptions, *, episodes: int = 1
) -> EpisodeSampler:
    """Return the validation episodes. Raises `UserError` where the classes cannot fill them."""
    classes = store.classes("val")
    return EpisodeSampler(
        videos=classes,
        way=min(episode.way, max(2, len(classes))),
        shot=episode.shot,
        queries=1,
        length=episodes,
        seed=SEED,
        frames=data.frames,
        source=f"the validation classes of {store.path}",
    )
