"""Within-class covariance normalisation: held to its definition, and seen to help."""

import numpy as np
import pytest
import torch

from tasd.backbones.wccn import WithinClassNormalisation
from tasd.errors import UserError

CHANNELS, TIME, PER_CLASS = 12, 4, 6


def videos(classes: int, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Features whose last channels vary strongly within every class, and say nothing of it."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), PER_CLASS)
    centres = random.normal(size=(classes, 1, CHANNELS)) * ([1.0] * 8 + [0.0] * 4)
    noise = random.normal(size=(len(labels), TIME, CHANNELS)) * ([0.3] * 8 + [6.0] * 4)
    of_video = random.normal(size=(len(labels), 1, CHANNELS)) * ([0.0] * 8 + [6.0] * 4)
    frames = 3.0 + centres[labels] + noise + of_video
    return torch.tensor(frames, dtype=torch.float32), torch.tensor(labels)


def fitted(frames: torch.Tensor, labels: torch.Tensor, shrinkage: float):
    normalisation = WithinClassNormalisation(CHANNELS)
    normalisation.fit(frames, labels, shrinkage=shrinkage)
    return normalisation


def nearest(frames: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of videos whose most similar other video, by the cosine of means, has their class."""
    mean = torch.nn.functional.normalize(frames.mean(dim=1), dim=1)
    likeness = (mean @ mean.T).fill_diagonal_(-2)
    return float((labels[likeness.argmax(dim=1)] == labels).float().mean())


def test_a_fit_without_shrinkage_leaves_equal_variance_within_classes():
    frames, labels = videos(9, seed=0)
    found = fitted(frames, labels, 1e-9)(frames)
    samples = [found[labels == each].flatten(0, 1) for each in labels.unique()]
    within = torch.cat([own - own.mean(dim=0) for own in samples]).numpy()
    covariance = within.T @ within / len(within)
    average = np.trace(covariance) / CHANNELS
    np.testing.assert_allclose(covariance, average * np.eye(CHANNELS), atol=2e-4 * average)


def test_it_is_the_inverse_root_of_the_shrunk_covariance_at_the_scale_of_the_features():
    frames, labels = videos(5, seed=1)
    x = frames.double().numpy()
    within = np.concatenate(
        [(own := x[labels == each].reshape(-1, CHANNELS)) - own.mean(axis=0) for each in range(5)]
    )
    covariance = within.T @ within / len(within)
    shrunk = covariance + 0.7 * np.trace(covariance) / CHANNELS * np.eye(CHANNELS)
    values, vectors = np.linalg.eigh(shrunk)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    centred = (x - x.mean(axis=(0, 1))).reshape(-1, CHANNELS)
    root *= np.linalg.norm(centred, axis=1).mean() / np.linalg.norm(centred @ root, axis=1).mean()
    found = fitted(frames, labels, 0.7)
    np.testing.assert_allclose(found.matrix.numpy(), root, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found(frames).reshape(-1, CHANNELS), centred @ root, atol=1e-4)


def test_classes_never_seen_are_told_apart_better():
    normalisation = fitted(*videos(20, seed=2), 0.01)
    frames, labels = videos(20, seed=3)
    assert nearest(normalisation(frames), labels) > nearest(frames, labels) + 0.3


def test_a_large_shrinkage_takes_the_mean_away_alone():
    frames, labels = videos(5, seed=4)
    found = fitted(frames, labels, 1e9)(frames)
    torch.testing.assert_close(found, frames - frames.mean(dim=(0, 1)), rtol=1e-3, atol=1e-3)


def test_before_the_fit_features_pass_unchanged():
    frames, _ = videos(2, seed=5)
    assert torch.equal(WithinClassNormalisation(CHANNELS)(frames), frames)


def test_equal_features_in_each_class_are_refused():
    frames, labels = videos(3, seed=6)
    constant = frames[labels.clone() * PER_CLASS][:, :1].expand(-1, TIME, -1)
    with pytest.raises(UserError, match=r"all equal.*leave network\.wccn out"):
        fitted(constant, labels, 1.0)
