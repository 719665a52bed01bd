"""The recogniser inside scikit-learn: clones, cross-validation, grids, pipelines, pickles."""

import pickle
import shutil

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from tasd.errors import UserError
from tasd.predict import NOT_READ, ClipEmbedder, FewShotRecognizer, opened
from tasd.predict import cache as cache_module


@pytest.fixture
def tiny(empty_home, resnet8_weights):
    return FewShotRecognizer("resnet8", weights=str(resnet8_weights), crop=32, device="cpu")


@pytest.fixture
def labelled(clips, tmp_path):
    """Six clips, three of each class, by bytes alone different ones."""
    paths, labels = [], []
    for number in range(3):
        for name, label in (("mpeg4.avi", "waving"), ("h264_forty.mp4", "jumping")):
            path = tmp_path / f"{number}_{name}"
            path.write_bytes((clips / name).read_bytes() + bytes(number))
            paths.append(str(path))
            labels.append(label)
    return paths, labels


@pytest.fixture
def decoded(monkeypatch):
    """The clips that were decoded, each time."""
    found = []
    original = cache_module.clip_features

    def counted(trained, paths, *more, **options):
        found.extend(paths)
        return original(trained, paths, *more, **options)

    monkeypatch.setattr(cache_module, "clip_features", counted)
    return found


def test_parameters_are_plain_values_and_nothing_is_opened(tiny, resnet8_weights):
    copy = clone(tiny)
    assert copy.get_params() == tiny.get_params()
    assert copy.set_params(matcher="otam", backbone="nowhere").backbone == "nowhere"
    assert set(vars(FewShotRecognizer("nowhere"))) == set(tiny.get_params())
    with pytest.raises(UserError, match="no backbone is called 'nowhere'"):
        copy.fit({"a": ["1.mp4"], "b": ["2.mp4"]})


def test_parameters_that_exclude_one_another_are_refused_in_fit(home):
    clips = {"a": ["1.mp4"], "b": ["2.mp4"]}
    for parameters, message in (
        ({"run": "mine", "backbone": "resnet8"}, "run='mine' and backbone='resnet8' exclude"),
        ({"run": "mine", "matcher": "otam"}, "matcher='otam' is a parameter for backbones"),
        ({"run": "mine", "crop": 64}, "crop=64 is a parameter for backbones"),
        ({"store": "mine"}, "store='mine' is a parameter for runs"),
    ):
        with pytest.raises(UserError, match=message):
            FewShotRecognizer(**parameters).fit(clips)


def test_cross_validation_decodes_each_clip_at_most_twice(tiny, labelled, decoded):
    paths, labels = labelled
    assert cross_val_score(tiny, paths, labels, cv=3, error_score="raise").tolist() == [1, 1, 1]
    assert max(map(decoded.count, decoded)) <= 2


def test_a_grid_over_matchers_and_backbones_decodes_no_clip_again(tiny, labelled, decoded):
    paths, labels = labelled
    search = GridSearchCV(
        tiny, {"matcher": ["bimhm", "prototype", "otam"]}, cv=3, error_score="raise"
    )
    search.fit(paths, labels)
    assert search.best_score_ == 1
    assert max(map(decoded.count, decoded)) <= 2
    before = len(decoded)
    grid = [
        {"backbone": ["resnet8"], "frames": [4], "weights": [tiny.weights]},
        {"backbone": ["efficientnet_lite0"], "frames": [4], "weights": ["imagenet"]},
    ]
    backbones = GridSearchCV(tiny, grid, cv=3, error_score="raise").fit(paths, labels)
    tried = [found["backbone"] for found in backbones.cv_results_["params"]]
    assert tried == ["resnet8", "efficientnet_lite0"]
    assert np.isfinite(backbones.cv_results_["mean_test_score"]).all()
    assert len(decoded) > before
    assert len(opened._open) <= opened.MOST_OPEN


def test_two_processes_cross_validate(tiny, labelled):
    paths, labels = labelled
    scores = cross_val_score(tiny, paths, labels, cv=3, n_jobs=2, error_score="raise")
    assert scores.tolist() == [1, 1, 1]


def test_features_of_clips_feed_other_estimators_and_the_recogniser(tiny, labelled):
    paths, labels = labelled
    embedder = ClipEmbedder("resnet8", weights=tiny.weights, crop=32, device="cpu")
    pipeline = make_pipeline(embedder, LogisticRegression()).fit(paths, labels)
    assert pipeline.score(paths, labels) == 1
    frames = clone(embedder).set_params(pool="frames")
    both = make_pipeline(frames, FewShotRecognizer(matcher="otam", device="cpu"))
    shares = both.fit(paths, labels).predict_proba(paths)
    alone = tiny.set_params(matcher="otam").fit(paths, labels).predict_proba(paths)
    np.testing.assert_allclose(shares, alone, atol=1e-4)


@pytest.mark.parametrize("tool", [pickle, joblib])
def test_a_pickle_answers_as_before_without_holding_the_network(tiny, labelled, tool, tmp_path):
    paths, labels = labelled
    expected = tiny.fit(paths, labels).decision_function(paths)
    path = tmp_path / "recogniser.pkl"
    with path.open("wb") as file:
        tool.dump(tiny, file)
    assert path.stat().st_size < 150_000
    with path.open("rb") as file:
        again = tool.load(file)
    np.testing.assert_allclose(again.decision_function(paths), expected, atol=1e-6)
    assert again.classes_.tolist() == ["jumping", "waving"]
    unfit = pickle.loads(pickle.dumps(clone(tiny)))
    assert unfit.get_params() == tiny.get_params()


def test_a_pickle_refuses_a_network_that_has_changed(tiny, labelled, tmp_path, resnet8_weights):
    import torch

    paths, labels = labelled
    shutil.copy(resnet8_weights, tmp_path / "mine.pth")
    fitted = tiny.set_params(weights=str(tmp_path / "mine.pth")).fit(paths, labels)
    content = pickle.dumps(fitted)
    state = torch.load(resnet8_weights, weights_only=True)
    state["conv1.weight"] *= 2
    torch.save(state, tmp_path / "mine.pth")
    with pytest.raises(UserError, match="has changed since this FewShotRecognizer was fit"):
        pickle.loads(content).predict(paths)


def test_one_path_is_one_clip_and_an_unreadable_one_has_a_word(tiny, labelled, tmp_path):
    paths, labels = labelled
    tiny.fit(paths, labels)
    assert tiny.predict(paths[0]).tolist() == ["waving"]
    (tmp_path / "empty.mp4").touch()
    with pytest.warns(UserWarning, match="empty"):
        found = tiny.predict([paths[0], str(tmp_path / "empty.mp4")])
    assert found.tolist() == ["waving", NOT_READ]
    assert accuracy_score(["waving", "waving"], found) == 0.5
    with pytest.warns(UserWarning, match="empty"):
        assert np.isnan(tiny.embed([paths[0], tmp_path / "empty.mp4"])).any(axis=1).tolist() == [
            False,
            True,
        ]


def test_embed_works_before_fit_and_gives_means_or_frames(tiny, labelled):
    frames = tiny.embed(labelled[0][:2], pool="frames")
    assert frames.shape == (2, 8, 256)
    assert frames.dtype == np.float32
    np.testing.assert_allclose(tiny.embed(labelled[0][:2]), frames.mean(axis=1), atol=1e-6)
    with pytest.raises(UserError, match="no pool is called 'max'"):
        tiny.embed(labelled[0][:2], pool="max")


def test_labels_may_be_numbers(tiny, labelled):
    paths, labels = labelled
    numbers = [7 if label == "waving" else 3 for label in labels]
    tiny.fit(paths, numbers)
    assert tiny.classes_.tolist() == [3, 7]
    assert accuracy_score(numbers, tiny.predict(paths)) == 1
