"""The features of a run's networks, cached in the run's folder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from tasd.device import Precision
from tasd.episodes import evaluation_view
from tasd.extraction.cache import cached
from tasd.extraction.extract import extract
from tasd.extraction.inference import folds, inference_copy
from tasd.features.store import FeatureStore
from tasd.files import as_json
from tasd.model import Model
from tasd.runs.checkpoint import Checkpoint, trained_classes
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.store.source import classes_of, split_of_each


@dataclass(frozen=True)
class Extraction:
    """Settings for computing the features of a run.

    split: the split whose videos are used, or "all". networks: "student", "teacher" or both;
    empty for all that the checkpoint holds. matcher: in place of the run's own.
    precision: of the network; None for that of training where the device computes in it.
    half: keep features in float16. maps: keep maps even where the matcher reads none.
    allow_overlap: accept classes that the network was trained on.
    """

    split: str = "test"
    networks: tuple[str, ...] = ()
    matcher: str | None = None
    precision: Precision | None = None
    half: bool = False
    maps: bool = False
    allow_overlap: bool = False
    device: str = "cpu"


def cached_features(
    run: Run,
    model: Model,
    store: Store | FeatureStore,
    saved: Checkpoint,
    how: Extraction,
    about: Mapping[str, str],
    *,
    maps: bool,
) -> FeatureStore:
    """Return the features of one network, from the run's feature file or computed now.

    The name of the file holds a hash of everything that they depend on.
    """
    data = saved.config.data
    key = {
        **about,
        "store": store.hash,
        "split": how.split,
        "frames": data.frames,
        "crop": data.crop,
        "half": how.half,
        "maps": maps,
    }
    if model.matcher.levels:  # the frames are the matcher's, not the encoder's
        key["condensed"] = True
    if folds(model, how.device):  # rounds otherwise than the network as it was trained
        key["folded"] = True
    digest = hashlib.sha256(as_json(key, sort_keys=True, ascii=True).encode()).hexdigest()
    path = run.path / "features" / f"{about['network']}-{how.split}-{digest[:12]}.h5"

    def compute() -> FeatureStore:
        return extract(
            inference_copy(model.to(how.device)).condensed,
            store,
            path,
            classes=classes_of(store, how.split),
            split=split_of_each(store, how.split),
            view=lambda video: evaluation_view(video, data.frames),
            size=data.crop,
            device=how.device,
            maps=maps,
            half=how.half,
            about={**key, "dataset": store.dataset},
            trained_on=trained_classes(saved, store),
            groups=store.groups,
            kind=data.loader,
            threads=data.threads,
        )

    return cached(path, key, compute)
