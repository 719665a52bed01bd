"""Loading of whole episodes, decoded ahead of time."""

import functools
import itertools
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from tasd.episodes import Episode
from tasd.features.store import FeatureStore
from tasd.loader.views import open_clips
from tasd.store import Store
from tasd.types import EpisodeBatch


class EpisodeLoader:
    """Decoded episodes in order; each iteration begins at the first episode again.

    waited: seconds that the consumer has waited for batches so far.
    Options and errors are those of `open_clips`.
    """

    def __init__(
        self,
        store: Store | FeatureStore,
        episodes: Iterable[Episode],
        *,
        size: int,
        device: torch.device | str,
        kind: str = "auto",
        threads: int = 2,
        prefetch: int = 2,
    ) -> None:
        self.waited = 0.0
        self._episodes = episodes
        self._open = functools.partial(
            open_clips,
            store,
            size=size,
            device=device,
            kind=kind,
            threads=threads,
            prefetch=prefetch,
        )
        self._open([])  # raises the errors of wrong options at once

    def __iter__(self) -> Iterator[EpisodeBatch]:
        ahead, episodes = itertools.tee(self._episodes)
        views = self._open(episode.views for episode in ahead)
        before = self.waited
        for frames, episode in zip(views, episodes, strict=False):  # views first: they draw them
            self.waited = before + views.waited
            yield _batch(episode, frames)


def _batch(
    episode: Episode,
    frames: UInt8[Tensor, "views time size size 3"] | Float32[Tensor, "views time channels"],
) -> EpisodeBatch:
    videos = len(episode.support) + len(episode.query)
    return EpisodeBatch(
        episode=episode,
        frames=frames[:videos],
        support_labels=torch.tensor(episode.support_labels, device=frames.device),
        query_labels=torch.tensor(episode.query_labels, device=frames.device),
        second=frames[videos:] if episode.second else None,
    )
