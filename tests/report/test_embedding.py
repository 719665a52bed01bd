"""Embeddings show the features of the test videos; PCA has a slow twin."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tasd.report.cached_test import CachedTest
from tasd.report.embedding import embeddings, pca, umap, video_vectors
from tasd.report.embedding_chart import embedding_chart
from tasd.report.frames import Thumbnails
from tasd.report.outcome import Outcome
from tasd.runs.folder import Run
from tests.feature_stores import CLASSES, feature_store
from tests.report.written import config_of


def made(features):
    outcome = Outcome(Run(Path("run")), config_of(), None, None)
    return CachedTest(outcome, {"provenance": {"split": {"name": "test"}}}, features)


def test_a_video_is_the_mean_of_its_frames_at_unit_length():
    features = feature_store()
    vectors = video_vectors(features, features.videos[:3])
    for vector, frames in zip(vectors, features.features, strict=False):
        mean = sum(frame.astype(float) for frame in frames) / len(frames)
        assert vector == pytest.approx(mean / np.sqrt((mean**2).sum()), abs=1e-6)


def test_pca_projects_on_the_largest_eigenvectors_of_the_covariance():
    vectors = np.random.default_rng(0).normal(size=(30, 5)) * [3, 1, 2, 0.5, 0.1]
    _, note, places = pca(vectors)
    values, axes = np.linalg.eigh(np.cov(vectors.T))
    for column, axis in enumerate((-1, -2)):
        twin = (vectors - vectors.mean(axis=0)) @ axes[:, axis]
        assert np.abs(places[:, column]) == pytest.approx(np.abs(twin))
    share = 100 * values[-2:].sum() / values.sum()
    assert f"{share:.0f} %" in note


@pytest.mark.parametrize("shape", [(1, 4), (2, 1), (5, 3)])
def test_features_without_spread_have_a_plane_too(shape):
    _, note, places = pca(np.ones(shape))
    assert np.isfinite(places).all()
    assert "0 %" in note


def test_videos_are_sorted_by_class_and_fit_the_square():
    (plane,) = embeddings(made(feature_store()), most=1000)
    assert plane.classes == tuple(CLASSES)
    assert plane.videos == tuple(video for ids in CLASSES.values() for video in ids)
    assert plane.label.tolist() == [c for c in range(6) for _ in range(7)]
    assert plane.places.min() >= 0
    assert plane.places.max() <= 1


def test_over_the_limit_each_class_has_as_many_videos():
    (plane,) = embeddings(made(feature_store()), most=20)
    assert np.bincount(plane.label).tolist() == [3] * 6
    assert plane.out_of == 42
    text = embedding_chart(plane, Thumbnails(None, room=0), name="run", key="p0")
    assert "18 of 42 videos are drawn" in text


def test_umap_is_drawn_where_it_is_installed(monkeypatch):
    seen = {}

    class UMAP:
        def __init__(self, **options):
            seen.update(options)

        def fit_transform(self, vectors):
            return vectors[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=UMAP))
    planes = embeddings(made(feature_store()), most=1000)
    assert [plane.method for plane in planes] == ["PCA", "UMAP"]
    assert seen["random_state"] == 0
    assert seen["n_neighbors"] == 15
    monkeypatch.setitem(sys.modules, "umap", None)
    assert umap(np.ones((9, 3))) is None


def test_every_point_has_its_name_and_class():
    (plane,) = embeddings(made(feature_store()), most=1000)
    text = embedding_chart(plane, Thumbnails(None, room=0), name="a<b", key="p0")
    assert text.count("<title>") == 42
    assert "<title>c3: v2</title>" in text
    assert text.count("type=radio") == 7
    assert "a&lt;b" in text
