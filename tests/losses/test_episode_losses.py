import math

import pytest
import torch
from loss_oracles import agrees

from tasd.losses.episode import AuxiliaryClassifier, metric_cross_entropy

GENERATOR = torch.Generator().manual_seed(50)
LOGITS = torch.randn(2, 3, 5, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([[0, 4, 2], [1, 1, 3]])
FRAMES = torch.randn(4, 8, 6, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([2, 0, 6, 6])


def cross_entropy_by_loops(rows, labels):
    losses = []
    for row, label in zip(rows, labels, strict=True):
        losses.append(math.log(sum(math.exp(x) for x in row)) - row[label])
    return sum(losses) / len(losses)


def test_the_metric_loss_is_the_mean_cross_entropy_over_all_queries():
    expected = cross_entropy_by_loops(LOGITS.flatten(0, 1).tolist(), LABELS.flatten().tolist())
    assert agrees(metric_cross_entropy(LOGITS, LABELS), expected)
    one_by_one = [metric_cross_entropy(LOGITS[i : i + 1], LABELS[i : i + 1]) for i in range(2)]
    assert agrees(sum(one_by_one) / 2, expected)


@pytest.mark.parametrize(
    "mistake",
    {
        "softmax over queries": lambda: -LOGITS.log_softmax(1).gather(2, LABELS[..., None]).mean(),
        "wrong sign": lambda: metric_cross_entropy(-LOGITS, LABELS),
        "queries of another episode": lambda: metric_cross_entropy(LOGITS, LABELS.flip(0)),
        "summed": lambda: 6 * metric_cross_entropy(LOGITS, LABELS),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_mistaken_metric_loss_is_told_apart(mistake):
    expected = cross_entropy_by_loops(LOGITS.flatten(0, 1).tolist(), LABELS.flatten().tolist())
    assert not agrees(mistake[1](), expected)


def test_the_auxiliary_loss_is_that_of_a_linear_layer_on_the_mean_over_time():
    classifier = AuxiliaryClassifier(6, 7).double()
    weight, bias = classifier.classify.weight.tolist(), classifier.classify.bias.tolist()
    rows = []
    for video in FRAMES.tolist():
        mean = [sum(frame[c] for frame in video) / 8 for c in range(6)]
        scores = (sum(w * x for w, x in zip(row, mean, strict=True)) for row in weight)
        rows.append([s + b for s, b in zip(scores, bias, strict=True)])
    expected = cross_entropy_by_loops(rows, CLASSES.tolist())
    assert agrees(classifier(FRAMES, CLASSES), expected)
    assert not agrees(classifier(FRAMES.flip(0), CLASSES), expected)
    assert not agrees(classifier(8 * FRAMES, CLASSES), expected)


def test_gradients_are_those_of_finite_differences():
    classifier = AuxiliaryClassifier(6, 7).double()
    logits, frames = LOGITS.clone().requires_grad_(), FRAMES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: metric_cross_entropy(x, LABELS), logits)
    assert torch.autograd.gradcheck(lambda x: classifier(x, CLASSES), frames)


def test_autocast_changes_nothing():
    classifier = AuxiliaryClassifier(6, 7)
    logits, frames = LOGITS.float(), FRAMES.float()
    plain = metric_cross_entropy(logits, LABELS), classifier(frames, CLASSES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(metric_cross_entropy(logits, LABELS), plain[0])
        assert torch.equal(classifier(frames, CLASSES), plain[1])
        assert classifier.classify(frames).dtype == torch.bfloat16
    assert metric_cross_entropy(logits.bfloat16(), LABELS).dtype == torch.float32
