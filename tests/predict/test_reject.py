"""The threshold below which a clip is none of these."""

import json

import numpy as np
import pytest
import torch

from tasd.errors import UserError
from tasd.predict import NONE_OF_THESE, FewShotRecognizer
from tasd.predict.reject import TRUE_ACCEPT, calibrate, least_accepted, threshold_for
from tasd.predict.trained import on_device, trained_network
from tasd.runs.folder import Run
from tests.feature_stores import CLASSES, WIDTH, feature_store


def test_the_threshold_is_the_highest_that_95_of_100_reach():
    scores = np.random.default_rng(0).permutation(np.arange(100.0))
    assert least_accepted(scores) == 5.0
    assert (scores >= least_accepted(scores)).mean() == TRUE_ACCEPT
    assert least_accepted(np.array([2.0])) == 2.0


@pytest.fixture
def trained(home):
    return on_device(trained_network(Run(home / "runs" / "tiny")), torch.device("cpu"))


def test_a_threshold_is_found_on_validation_classes_and_remembered(trained, home):
    trained, found = threshold_for(trained, way=3, shot=2)
    assert (found.way, found.shot, found.classes) == (3, 2, 5)
    assert found.true_accept >= TRUE_ACCEPT
    assert 0 <= found.false_accept <= 1
    memory = json.loads((home / "runs" / "tiny" / "predict.json").read_text())
    assert memory["thresholds"][0]["score"] == found.score
    again = on_device(trained_network(Run(home / "runs" / "tiny")), torch.device("cpu"))
    assert threshold_for(again, way=3, shot=2)[1] == found


def test_a_support_larger_than_validation_can_fill_gets_the_largest_shape(trained):
    trained, found = threshold_for(trained, way=20, shot=9)
    assert (found.way, found.shot) == (4, 5)
    assert threshold_for(trained, way=21, shot=9)[1] == found


def test_far_classes_are_told_apart_and_equal_ones_are_not(trained):
    """Queries of other classes pass a threshold as often as the classes look alike."""
    import dataclasses

    near = feature_store()
    names = sorted(set(near.video_class))[:6]
    near = dataclasses.replace(near, splits={"val": tuple(names), "train": (), "test": ()})
    assert len(names) == min(6, len(set(CLASSES)))
    random = np.random.default_rng(0)
    shape = near.features.shape
    noise = random.normal(size=shape).astype(np.float32)
    centre = {name: random.normal(size=WIDTH) * 20 for name in set(near.video_class)}
    far = noise + np.stack([centre[name] for name in near.video_class])[:, None].astype(np.float32)
    apart = calibrate(trained, dataclasses.replace(near, features=far), way=3, shot=1)
    alike = calibrate(trained, dataclasses.replace(near, features=noise), way=3, shot=1)
    assert apart.false_accept < 0.1
    assert alike.false_accept > 0.8


def test_a_clip_below_the_threshold_is_none_of_these(home, support, clips):
    recognizer = FewShotRecognizer.from_run(home / "runs" / "tiny", reject=True).fit(support)
    threshold = recognizer.threshold_
    assert (threshold.way, threshold.shot) == (2, 2)
    queries = [clips / "mpeg4.avi", clips / "motion_jpeg.avi"]
    for answer in recognizer.answers(queries):
        best = max(answer.scores.values())
        assert answer.accepted == (best >= threshold.score)
        assert answer.label == (answer.best if answer.accepted else NONE_OF_THESE)


def test_too_few_validation_classes_are_told(trained, monkeypatch):
    from tasd.predict import reject

    few = feature_store()
    pair = tuple(sorted(set(few.video_class)))[:2]
    few = type(few)(**{**vars(few), "splits": {"val": pair, "train": (), "test": ()}})
    monkeypatch.setattr(reject, "_validation", lambda *_: few)
    with pytest.raises(UserError, match="three validation classes"):
        threshold_for(trained, way=2, shot=1)
