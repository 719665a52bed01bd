"""The features of the videos of a store, from one pass of a network, in a feature file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tasd.episodes import View
from tasd.extraction.forward import Network, forward_views, in_batches
from tasd.features.reader import open_features
from tasd.features.store import FeatureStore
from tasd.features.writer import write_features
from tasd.progress import track
from tasd.store import Store
from tasd.types import Features


def extract(
    network: Network,
    store: Store | FeatureStore,
    path: Path,
    *,
    classes: Mapping[str, Sequence[str]],
    split: str | Mapping[str, str],
    view: Callable[[str], View],
    size: int,
    device: torch.device | str = "cpu",
    maps: bool = False,
    half: bool = False,
    about: Mapping[str, Any] | None = None,
    trained_on: Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    kind: str = "auto",
    threads: int = 2,
    videos_per_batch: int = 4,
) -> FeatureStore:
    """Run ``network`` once over each video of ``classes`` and write its features to ``path``.

    split: the one that these classes are of, or one for each class.
    view: the view of a video that the network gets, `tasd.episodes.evaluation_view` for a test.
    size: side of the crop in pixels. kind, threads: of the loader, see `tasd.loader.open_clips`.
    maps: keep the feature maps too, for matchers that read them.
    half, about, trained_on, groups: see `tasd.features.writer.write_features`.

    The file appears when it is complete. Raises `UserError`.
    """
    videos = [(video, name) for name, ids in classes.items() for video in ids]
    views = [view(video) for video, _ in videos]
    passed = forward_views(
        network,
        store,
        in_batches(views, videos_per_batch),
        size=size,
        device=device,
        kind=kind,
        threads=threads,
    )
    network_name = (about or {}).get("network")
    batches = track(
        (features if maps else Features(features.frames) for features in passed),
        total=len(videos),
        what=f"features ({network_name})" if network_name else "features",
        unit="videos",
        count=lambda features: len(features.frames),
    )
    write_features(
        path,
        batches,
        videos=videos,
        splits={name: split if isinstance(split, str) else split[name] for name in sorted(classes)},
        trained_on=trained_on,
        groups=groups,
        about=about,
        half=half,
    )
    return open_features(path, own=True)
