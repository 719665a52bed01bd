"""Places of videos in a plane, from their features: by PCA, and by UMAP where it is installed."""

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from tasd.features.store import FeatureStore
from tasd.report.cached_test import CachedTest

NEIGHBOURS = 15  # of UMAP, its own default


@dataclass(frozen=True)
class Embedding:
    """The places of some videos, sorted by class. places: in 0..1, y upwards.

    classes: names; label: the place of each video's class in them. out_of: videos that there are.
    method: "PCA" or "UMAP". note: a sentence on what the plane keeps.
    """

    method: str
    note: str
    videos: tuple[str, ...]
    classes: tuple[str, ...]
    label: Int64[np.ndarray, " videos"]
    places: Float[np.ndarray, "videos 2"]
    out_of: int


def embeddings(found: CachedTest, *, most: int) -> list[Embedding]:
    """Embed the videos under test, the same number of each class where they are over ``most``."""
    classes = found.features.classes(found.split)
    chosen = [(video, name) for name, ids in classes.items() for video in ids]
    total = len(chosen)
    if total > most:
        each = max(1, most // len(classes))
        chosen = [(video, name) for name, ids in classes.items() for video in ids[:each]][:most]
    videos = tuple(video for video, _ in chosen)
    names = tuple(classes)
    label = np.array([names.index(name) for _, name in chosen], np.int64)
    vectors = video_vectors(found.features, videos)
    planes = [plane for plane in (pca(vectors), umap(vectors)) if plane is not None]
    return [
        Embedding(method, note, videos, names, label, _scaled(places), total)
        for method, note, places in planes
    ]


def video_vectors(
    features: FeatureStore, videos: Sequence[str]
) -> Float[np.ndarray, "videos channels"]:
    """Average the features of each video over time, at unit length."""
    row = {video: number for number, video in enumerate(features.videos)}
    chosen = features.features[[row[video] for video in videos]]
    mean = chosen.mean(axis=1, dtype=np.float64)
    return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12))


def pca(
    vectors: Float[np.ndarray, "videos channels"],
) -> tuple[str, str, Float[np.ndarray, "videos 2"]]:
    """Project on the two directions of largest variance."""
    centred = vectors - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(vectors), 2))
    kept = min(2, len(size))
    places[:, :kept] = left[:, :kept] * size[:kept]
    total = float((size**2).sum())
    share = float((size[:kept] ** 2).sum()) / total if total > 0 else 0.0
    return "PCA", f"The two axes hold {100 * share:.0f} % of the variance.", places


def umap(
    vectors: Float[np.ndarray, "videos channels"],
) -> tuple[str, str, Float[np.ndarray, "videos 2"]] | None:
    """Embed by UMAP (McInnes et al. 2018), seeded; None where it is not installed."""
    if len(vectors) < 4:
        return None
    try:
        package: Any = importlib.import_module("umap")
        make = package.UMAP
    except (ImportError, AttributeError):
        return None
    neighbours = min(NEIGHBOURS, len(vectors) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed leaves one thread
        reducer = make(n_neighbors=neighbours, metric="cosine", random_state=0)
        places = np.asarray(reducer.fit_transform(vectors), np.float64)
    note = "Neighbours stay neighbours; distances between groups mean little."
    return "UMAP", note, places


def _scaled(places: Float[np.ndarray, "videos 2"]) -> Float[np.ndarray, "videos 2"]:
    """Shift and scale the places into 0..1, both axes by the same factor."""
    low, high = places.min(axis=0), places.max(axis=0)
    span = max(float((high - low).max()), 1e-12)
    return np.asarray((places - (low + high) / 2) / span + 0.5)
