"""Pooled frame features of a pretrained backbone that is not trained any further."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasd import backbones, recipes
from tasd.config import weights_name
from tasd.device import Precision
from tasd.episodes import evaluation_view
from tasd.extraction.cache import cached
from tasd.extraction.extract import extract
from tasd.extraction.inference import folds, inference_copy
from tasd.features.store import FeatureStore
from tasd.files import as_json
from tasd.foreign import path_part
from tasd.home import home
from tasd.model import Model, build_model
from tasd.recipes.settings import replace
from tasd.store import Store
from tasd.store.source import classes_of, split_of_each

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Pooling:
    """The backbone, and the frames that it computes features of.

    backbone, weights: as in the settings of a run. frames: number of evenly spaced frames of each
    video; where there are more than an episode takes, training draws among them.
    crop: side of the centre crop in pixels; None for the one that the weights were trained at.
    half: keep features in float16.
    allow_pretrained_overlap: take weights that were trained on test classes.
    """

    backbone: str
    weights: str = "imagenet"
    frames: int = 8
    crop: int | None = None
    precision: Precision = "float32"
    half: bool = False
    allow_pretrained_overlap: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Name the weights of a timm model as its config does."""
        object.__setattr__(self, "weights", weights_name(self.backbone, self.weights))


def plain_model(how: Pooling, *, dataset: str) -> Model:
    """Build the backbone as a network without a temporal encoder. Raises `UserError`."""
    settings: list[tuple[str, Any]] = [
        ("network.backbone", how.backbone),
        ("network.weights", how.weights),
        ("network.depth", 0),  # no temporal encoder: training adds it
        ("network.allow_pretrained_overlap", how.allow_pretrained_overlap),
        ("training.precision", how.precision),
    ]
    settings.append(("data.crop", how.crop or backbones.described(how.backbone).size))
    config = replace(recipes.make("baseline", dataset=dataset, shot=1), settings)
    return build_model(config, classes=1).eval().to(how.device)


def pooled_features(store: Store, path: Path, how: Pooling) -> FeatureStore:
    """Run the backbone once over each video of all splits of ``store``. Raises `UserError`."""
    model = plain_model(how, dataset=store.dataset)
    return _extracted(
        model,
        store,
        path,
        how,
        split={name: split for split in SPLITS for name in store.splits[split]},
        classes=store.classes(*SPLITS),
        about=_about(model, store, how),
    )


def cached_pooled(
    model: Model, store: Store, how: Pooling, *, split: str, maps: bool = False
) -> FeatureStore:
    """Return the features of a split, or of all, from the folder below $TASD_HOME or new.

    model: as `plain_model` made it from ``how``. maps: keep the feature maps too.

    The name of the file ends with the first digits of a sha256 of everything that they depend on,
    the weights themselves among it.
    """
    key = {
        **_about(model, store, how),
        "weights_sha256": weights_hash(model),
        "frames": how.frames,
        "split": split,
        "half": how.half,
        "maps": maps,
    }
    key.pop("weights")  # the same weights may come by another name
    digest = hashlib.sha256(as_json(key, sort_keys=True, ascii=True).encode()).hexdigest()
    name = f"{path_part(how.backbone)}-{path_part(store.dataset)}-{split}-{digest[:12]}.h5"
    path = home() / "features" / name
    about = key | {"weights": how.weights}

    def compute() -> FeatureStore:
        classes, each = classes_of(store, split), split_of_each(store, split)
        return _extracted(
            model, store, path, how, split=each, classes=classes, about=about, maps=maps
        )

    return cached(path, key, compute)


def weights_hash(model: Model) -> str:
    """Return a sha256 of the backbone's weights and of the normalisation that belongs to them."""
    digest = hashlib.sha256()
    state = {**model.backbone.state_dict(), "mean": model.mean, "std": model.std}
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _about(model: Model, store: Store, how: Pooling) -> dict[str, Any]:
    # Folded networks round otherwise than those that wrote files without this key.
    folded = {"folded": True} if folds(model, how.device) else {}
    return folded | {
        "network": "backbone",
        "backbone": how.backbone,
        "weights": how.weights,
        "crop": _crop(model, how),
        "precision": how.precision,
        "dataset": store.dataset,
        "store": store.hash,
    }


def _crop(model: Model, how: Pooling) -> int:
    return how.crop or int(model.backbone.size)


def _extracted(
    model: Model,
    store: Store,
    path: Path,
    how: Pooling,
    *,
    split: str | Mapping[str, str],
    classes: Mapping[str, Sequence[str]],
    about: Mapping[str, Any],
    maps: bool = False,
) -> FeatureStore:
    return extract(
        inference_copy(model),
        store,
        path,
        classes=classes,
        split=split,
        view=lambda video: evaluation_view(video, how.frames),
        size=_crop(model, how),
        device=how.device,
        maps=maps,
        half=how.half,
        about=about,
        groups=store.groups,
    )
