"""A network's pass over videos, a few at a time, without gradients."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from tasd.episodes import View
from tasd.features.store import FeatureStore
from tasd.loader import open_clips
from tasd.store import Store
from tasd.types import Features

Network = Callable[[Tensor], Features]


def forward_views(
    network: Network,
    source: Store | FeatureStore,
    batches: Iterable[Sequence[View]],
    *,
    size: int,
    device: torch.device | str,
    kind: str = "auto",
    threads: int = 2,
) -> Iterator[Features]:
    """Run ``network`` on each batch of views and yield its features.

    size: side of the crop in pixels. kind, threads: of the loader, see `tasd.loader.open_clips`.

    Raises `UserError`, for wrong options at once and for a broken frame when its batch is due.
    """
    clips = open_clips(source, batches, size=size, device=device, kind=kind, threads=threads)
    return _forward(network, clips)


def _forward(network: Network, clips: Iterable[Tensor]) -> Iterator[Features]:
    for frames in clips:
        with torch.inference_mode():
            features = network(frames)
        yield features


def in_batches(views: Sequence[View], size: int) -> list[Sequence[View]]:
    """Split ``views`` into batches of ``size``; the last one may be smaller."""
    return [views[start : start + size] for start in range(0, len(views), size)]
