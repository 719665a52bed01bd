"""One frame carries no information about the class; the motion of the shape carries much."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tasd.demo.actions import ACTIONS, Action, levels
from tasd.demo.generate import SIDE
from tasd.demo.render import frames, scene

CHOSEN = [action for action in ACTIONS if action.split == "test"]
SEEN = 8  # frames, as many as a network sees
TRAIN, HELD_OUT = 30, 15

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def videos() -> Array:
    """(classes, videos, time, height, width, 3) of the unseen classes, in 0..1."""
    random = np.random.default_rng(7)

    def video(action: Action) -> NDArray[np.uint8]:
        looks = scene(pixels=SIDE, random=random)
        return frames(looks, levels(action, frames=SEEN, random=random))

    made = [[video(action) for _ in range(TRAIN + HELD_OUT)] for action in CHOSEN]
    return np.array(made, np.float32) / 255


def accuracy(features: Array) -> float:
    """Accuracy of ridge regression onto the classes, tested on videos that it was not fit on.

    features: (classes, videos, examples, dim).
    """
    classes, _, _, dim = features.shape
    train = features[:, :TRAIN].reshape(-1, dim)
    held_out = features[:, TRAIN:].reshape(-1, dim)
    mean, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
    train, held_out = (np.c_[(x - mean) / spread, np.ones(len(x))] for x in (train, held_out))
    truth = np.repeat(np.arange(classes), len(train) // classes)
    penalty = 0.1 * len(train) * np.eye(dim + 1)
    weights = np.linalg.solve(train.T @ train + penalty, train.T @ np.eye(classes)[truth])
    predicted = np.argmax(held_out @ weights, axis=1)
    return float(np.mean(predicted == np.repeat(np.arange(classes), len(predicted) // classes)))


def looks(videos: Array) -> Array:
    """Features of single frames: a coarse picture, where the shape stands, how much it covers."""
    coarse = 8
    blocks = videos.reshape(*videos.shape[:3], SIDE // coarse, coarse, SIDE // coarse, coarse, 3)
    small = blocks.mean(axis=(4, 6)).reshape(*videos.shape[:3], -1)
    edges = np.abs(np.diff(videos, axis=3)).mean(axis=(3, 4))
    return np.concatenate([small, small**2, edges, _states(videos)], axis=-1)


def ways(videos: Array) -> Array:
    """Features of how the same states change in a video: (classes, videos, 1, dim)."""
    states = _states(videos)
    place = np.unwrap(np.angle(states[..., :2] + 1j * states[..., 2:4]), axis=2)
    moved = np.diff(place, axis=2)
    moved[..., 0] = np.abs(np.cumsum(moved[..., 0], axis=2))  # a mirror changes no class
    changed = np.diff(states[..., 4:], axis=2)
    rest = np.concatenate([changed, np.abs(changed)], axis=-1)
    parts = [moved, np.abs(moved), rest]
    return np.concatenate([part.reshape(*part.shape[:2], 1, -1) for part in parts], axis=-1)


def _states(videos: Array) -> Array:
    """Place on the joined frame as (cos, sin) pairs, area and mean colour of the bright shape."""
    bright = videos.max(axis=-1) > 0.55
    area = bright.mean(axis=(3, 4))
    circle = np.exp(2j * np.pi * np.arange(SIDE) / SIDE)
    right = (bright.sum(axis=3) * circle).sum(axis=-1)
    down = (bright.sum(axis=4) * circle).sum(axis=-1)
    places = np.stack([right, down], axis=-1)
    places = places / (np.abs(places) + 1e-9)
    colour = (videos * bright[..., None]).sum(axis=(3, 4)) / (area[..., None] * SIDE**2 + 1)
    return np.concatenate([places.real, places.imag, area[..., None], colour], axis=-1)


def test_a_single_frame_does_not_tell_the_class(videos: Array) -> None:
    chance = 1 / len(CHOSEN)
    # The frames of one video are alike, so only the videos count as independent draws.
    deviation = np.sqrt(chance * (1 - chance) / (HELD_OUT * len(CHOSEN)))
    assert abs(accuracy(looks(videos)) - chance) < 3 * deviation


def test_the_way_of_the_shape_tells_the_class(videos: Array) -> None:
    assert accuracy(ways(videos)) > 0.5


def test_the_same_frames_in_any_order_tell_less(videos: Array) -> None:
    random = np.random.default_rng(0)
    orders = [random.permutation(SEEN) for _ in range(videos.shape[1])]
    mixed = np.stack([videos[:, v][:, order] for v, order in enumerate(orders)], axis=1)
    assert accuracy(ways(mixed)) < accuracy(ways(videos)) - 0.2


def test_classes_with_looks_of_their_own_would_be_noticed(videos: Array) -> None:
    tint = 0.06 * np.arange(len(CHOSEN), dtype=np.float32)
    tinted = videos + tint[:, None, None, None, None, None] * np.array([1, 0, -1], np.float32)
    assert accuracy(looks(tinted)) > 2 / len(CHOSEN)
