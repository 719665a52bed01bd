"""Validation: the same few hundred episodes of the validation classes, again and again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from tasd.config import Config
from tasd.episodes import EpisodeSampler, evaluation_view
from tasd.episodes.table import EpisodeTable
from tasd.evaluation.metrics import episode_interval
from tasd.evaluation.score import score
from tasd.extraction.attention import attention
from tasd.features.store import FeatureStore
from tasd.loader import open_clips
from tasd.model import Model
from tasd.runs.checkpoint import Best, Progress
from tasd.store import Store
from tasd.training.distributed import World
from tasd.training.log import RunLog

VIDEOS_PER_BATCH = 4
# Validation has its own seed: every run of a store is judged on the same episodes.
SEED = 1_000_003


class Validation:
    """Accuracy of student and teacher on fixed episodes; each video is looked at once.

    Raises `UserError` at once where the validation classes cannot fill an episode.
    """

    def __init__(self, config: Config, store: Store | FeatureStore, world: World) -> None:
        self.config, self.store, self.world = config, store, world
        classes = store.classes("val")
        episode = config.episode
        sampler = EpisodeSampler(
            videos=classes,
            way=min(episode.way, max(2, len(classes))),
            shot=episode.shot,
            queries=1,
            length=config.training.validation_episodes,
            seed=SEED,
            frames=config.data.frames,
            source=f"the validation classes of {store.path}",
        )
        self.classes, self.episodes = sampler.videos, EpisodeTable.draw(sampler)
        self.videos = [(video, name) for name, ids in sampler.videos.items() for video in ids]

    def __call__(self, networks: Mapping[str, Model], now: Progress, log: RunLog) -> Best:
        """Score both networks, report, and say which validation is the best so far."""
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
            if self.config.data.features is None:
                picture = attention_picture(network, self._first_video())
                log.picture(f"attention/{name}", now.episode, picture)
            network.train(training)
        told = ", ".join(f"{n} {a['accuracy']:.1%} ±{a['half']:.1%}" for n, a in accuracy.items())
        so_far = "before training" if now.episode == 0 else f"best {best.accuracy:.1%}"
        log.say(f"episode {now.episode:,}: validation {told} ({so_far})")
        log.record("validation", now.episode, **accuracy)
        return best

    def _features(self, network: Model) -> FeatureStore:
        """Features of all validation videos; the ranks share the videos out."""
        size, rank = self.world.size, self.world.rank
        mine = self.videos[rank::size]
        frames, maps = [], []
        with torch.inference_mode():
            for pixels in self._views([video for video, _ in mine]):
                said = network(pixels)
                frames.append(said.frames)
                if network.matcher.needs_maps and said.maps is not None:
                    maps.append(said.maps.transpose(1, 2).half())
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

    def _views(self, videos: list[str]) -> Any:
        batches = [
            [
                evaluation_view(video, self.config.data.frames)
                for video in videos[i : i + VIDEOS_PER_BATCH]
            ]
            for i in range(0, len(videos), VIDEOS_PER_BATCH)
        ]
        return open_clips(
            self.store,
            batches,
            size=self.config.data.crop,
            device=self.world.device,
            kind=self.config.data.loader,
            threads=self.config.data.threads,
        )

    def _first_video(self) -> Tensor:
        pixels: Tensor = next(iter(self._views([self.videos[0][0]])))
        return pixels


def attention_picture(
    network: Model, frames: UInt8[Tensor, "1 time height width 3"]
) -> UInt8[np.ndarray, "height row 3"]:
    """The frames of one video in a row, dark where the mean absolute feature is small."""
    size = tuple(frames.shape[2:4])
    maps = attention(network, frames, label="").frames
    light = functional.interpolate(maps[:, None], size=size, mode="bilinear")[:, 0]
    shaded = frames[0].float() * (0.25 + 0.75 * light[..., None])
    row = torch.cat(list(shaded), dim=1)
    return row.to(torch.uint8).cpu().numpy()
