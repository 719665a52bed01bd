"""The threshold that the support itself gives, without validation classes."""

import numpy as np
import pytest
import torch

from tasd.errors import UserError
from tasd.matchers import build
from tasd.predict import NONE_OF_THESE, FewShotRecognizer
from tasd.predict.leave_one_out import threshold_of_support
from tasd.predict.reject import TRUE_ACCEPT
from tasd.types import Features, Task

CHANNELS = 16


def support_of(counts, *, apart: float):
    """Clips of classes that lie ``apart`` from one another, with noise of 1."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    centres = torch.randn(len(counts), 1, CHANNELS, generator=generator) * apart
    noise = torch.randn(len(labels), 4, CHANNELS, generator=generator)
    return Features(centres[labels] + noise), labels


def test_the_threshold_is_that_of_each_clip_left_out_by_hand():
    """Plain loops over the clips; each is scored by the matcher itself in a task of its own."""
    matcher = build("bimhm", CHANNELS)
    support, labels = support_of([3, 2, 4], apart=1.0)

    def best(clip, left):
        names = sorted(set(labels[left].tolist()))
        task = Task(
            way=len(names),
            support=support.frames[left][None],
            query=support.frames[clip][None, None],
            support_labels=torch.tensor([[names.index(c) for c in labels[left].tolist()]]),
        )
        return float(matcher(task).logits.max())

    inside = [best(i, [j for j in range(9) if j != i]) for i in range(9)]
    outside = [best(i, [j for j in range(9) if labels[j] != labels[i]]) for i in range(9)]
    found = threshold_of_support(matcher, support, labels=labels)
    assert found.score == pytest.approx(min(inside))
    assert found.true_accept == 1
    assert found.false_accept == pytest.approx(np.mean([s >= min(inside) - 1e-6 for s in outside]))
    assert (found.way, found.shot, found.classes, found.fewest) == (3, 3, 3, 2)


def test_classes_far_apart_are_rejected_and_equal_ones_are_not():
    matcher = build("bimhm", CHANNELS)
    for apart, least, most in ((20.0, 0.0, 0.1), (0.0, 0.8, 1.0)):
        support, labels = support_of([10, 10, 10], apart=apart)
        found = threshold_of_support(matcher, support, labels=labels)
        assert found.true_accept >= TRUE_ACCEPT
        assert least <= found.false_accept <= most


@pytest.mark.parametrize("counts", [[2, 2], [2, 1, 2]])
def test_a_support_too_small_for_a_threshold_is_refused(counts):
    support, labels = support_of(counts, apart=1.0)
    with pytest.raises(UserError, match="3 classes or more with 2 clips or more each"):
        threshold_of_support(build("bimhm", CHANNELS), support, labels=labels)


def test_a_clip_below_the_threshold_of_the_support_is_none_of_these(
    empty_home, clips, resnet8_weights
):
    classes = {
        "a": [clips / "mpeg4.avi", clips / "vp9.webm"],
        "b": [clips / "h264_forty.mp4", clips / "motion_jpeg.avi"],
        "c": [clips / "wide_pixels.mp4", clips / "mpeg4.avi"],
    }
    recognizer = FewShotRecognizer.from_backbone(
        "resnet8", weights=str(resnet8_weights), reject=True
    ).fit(classes)
    threshold = recognizer.threshold_
    assert "of the support clips, each left out in turn" in threshold.summary
    queries = sorted({path for paths in classes.values() for path in paths})
    for answer in recognizer.answers(queries):
        assert answer.accepted == (max(answer.scores.values()) >= threshold.score)
        assert answer.label == (answer.best if answer.accepted else NONE_OF_THESE)
