"""Features without a network: noise in which videos of a class are alike."""

from pathlib import Path

import numpy as np

from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.features.store import FeatureStore

WIDTH, TIME = 16, 8
CLASSES = {f"c{c}": tuple(f"c{c}/v{v}" for v in range(7)) for c in range(6)}


def feature_store(*, maps: bool = False, dtype=np.float32, seed: int = 0) -> FeatureStore:
    """Random features in which videos of a class are alike, in an order of their own."""
    random = np.random.default_rng(seed)
    videos = [(video, name) for name, ids in CLASSES.items() for video in ids]
    random.shuffle(videos)
    centre = {name: random.normal(size=WIDTH) for name in CLASSES}
    frames = [centre[name] + random.normal(size=(TIME, WIDTH)) for _, name in videos]
    features = np.array(frames, dtype)
    noise = random.normal(size=(len(videos), TIME, WIDTH, 7, 7))
    return FeatureStore(
        path=Path("features.h5"),
        features=features,
        maps=(features[..., None, None] + noise).astype(np.float16) if maps else None,
        videos=tuple(video for video, _ in videos),
        video_class=tuple(name for _, name in videos),
        splits={"train": (), "val": (), "test": tuple(CLASSES)},
    )


def episodes(count: int = 12, **options) -> EpisodeTable:
    shape = {"way": 5, "shot": 1, "queries": 2, "length": count, "seed": 3}
    return EpisodeTable.draw(EpisodeSampler(CLASSES, **(shape | options)))
