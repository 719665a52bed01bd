"""Pooled frame features of a pretrained backbone, for training with the backbone frozen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasd import recipes
from tasd.config import replace
from tasd.episodes import evaluation_view
from tasd.extraction.extract import extract
from tasd.features.store import FeatureStore
from tasd.model import build_model
from tasd.store import Store

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Pooling:
    """The backbone, and the frames that it computes features of.

    backbone, weights: as in the settings of a run. frames: number of evenly spaced frames of each
    video; where there are more than an episode takes, training draws among them.
    crop: side of the centre crop in pixels. half: keep features in float16.
    allow_pretrained_overlap: take weights that were trained on test classes.
    """

    backbone: str
    weights: str = "imagenet"
    frames: int = 8
    crop: int = 224
    precision: Literal["bf16", "float32"] = "float32"
    half: bool = False
    allow_pretrained_overlap: bool = False
    device: str = "cpu"


def pooled_features(store: Store, path: Path, how: Pooling) -> FeatureStore:
    """Run the backbone once over each video of all splits of ``store``. Raises `UserError`."""
    config = replace(
        recipes.make("baseline", dataset=store.dataset, shot=1),
        [
            ("network.backbone", how.backbone),
            ("network.weights", how.weights),
            ("network.depth", 0),  # no temporal encoder: training adds it
            ("network.allow_pretrained_overlap", how.allow_pretrained_overlap),
            ("data.crop", how.crop),
            ("training.precision", how.precision),
        ],
    )
    classes = store.classes(*SPLITS)
    return extract(
        build_model(config, classes=1).eval().to(how.device),
        store,
        path,
        classes=classes,
        split={name: split for split in SPLITS for name in store.splits[split]},
        view=lambda video: evaluation_view(video, how.frames),
        size=how.crop,
        device=how.device,
        half=how.half,
        about={
            "network": "backbone",
            "backbone": how.backbone,
            "weights": how.weights,
            "crop": how.crop,
            "precision": how.precision,
            "dataset": store.dataset,
            "store": store.hash,
        },
        groups=store.groups,
    )
