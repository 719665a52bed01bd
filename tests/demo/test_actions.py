"""Classes differ in how levels change, and not in single frames."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tasd.demo.actions import ACTIONS, Action, levels, triangle
from tasd.demo.generate import FRAMES, split_classes

PERFORMANCES = 300
BY_NAME = {action.name: action for action in ACTIONS}


def at_one_frame(action: Action, frame: int) -> NDArray[np.float64]:
    """(performances, 6) levels of many performances at one frame."""
    random = np.random.default_rng(0)
    shown = [levels(action, frames=FRAMES, random=random) for _ in range(PERFORMANCES)]
    return np.stack(
        [(*s.place[frame], *(x[frame] for x in (s.angle, s.size, s.filling, s.hue))) for s in shown]
    )


def distance_from_uniform(sample: NDArray[np.float64]) -> float:
    """Kolmogorov and Smirnov's: the largest gap between the sample's and the even distribution."""
    steps = np.arange(1, len(sample) + 1) / len(sample)
    gap = np.sort(sample) - steps
    return float(np.sqrt(len(sample)) * max(np.max(-gap), np.max(gap) + 1 / len(sample)))


def test_there_are_enough_classes_of_each_kind() -> None:
    split = split_classes()
    assert len(BY_NAME) == len(ACTIONS) >= 36
    assert len(split["train"]) >= 24
    assert len(split["val"]) >= 5
    assert len(split["test"]) >= 7


@pytest.mark.parametrize("name", BY_NAME)
def test_every_level_of_every_frame_is_uniform_whatever_the_action(name: str) -> None:
    for frame in (0, FRAMES // 2, FRAMES - 1):
        shown = at_one_frame(BY_NAME[name], frame)
        assert shown.min() >= 0
        assert shown.max() < 1 + 1e-12
        # Exceeded once in 10,000 uniform samples; there are 972 here, with fixed seeds.
        assert max(distance_from_uniform(level) for level in shown.T) < 2.23
        between = np.corrcoef(np.cos(2 * np.pi * shown), rowvar=False) - np.eye(6)
        assert np.abs(between).max() < 5 / np.sqrt(PERFORMANCES)


def test_a_level_that_is_not_uniform_would_be_noticed() -> None:
    random = np.random.default_rng(0)
    assert distance_from_uniform(random.random(PERFORMANCES)) < 2.23
    assert distance_from_uniform(random.random(PERFORMANCES) * 0.8) > 2.23
    assert distance_from_uniform(random.random(PERFORMANCES) ** 1.5) > 2.23


def test_folding_keeps_a_uniform_level_uniform() -> None:
    even = (np.arange(1000) + 0.5) / 1000
    assert np.allclose(np.sort(triangle(even)), np.sort(np.repeat(even[1::2], 2)), atol=2e-3)


def test_no_class_is_the_mirror_image_of_another() -> None:
    """Each class holds left and right alike: over many performances neither prevails."""
    for action in ACTIONS:
        random = np.random.default_rng(1)
        shown = [levels(action, frames=FRAMES, random=random) for _ in range(PERFORMANCES)]
        steps = np.stack([(np.diff(s.place[:, 0]) + 0.5) % 1 - 0.5 for s in shown]).mean(axis=1)
        turns = np.stack([(np.diff(s.angle) + 0.5) % 1 - 0.5 for s in shown]).mean(axis=1)
        for moved in (steps, turns):
            assert abs(moved.mean()) <= 5 * moved.std() / np.sqrt(PERFORMANCES) + 1e-12


@pytest.mark.parametrize(
    ("name", "right", "down"),
    [("slides fast", 1.5, 0), ("rises fast", 0, -1.5), ("falls aslant", 0.9, 0.9)],
)
def test_a_straight_path_covers_its_distance(name: str, right: float, down: float) -> None:
    shown = levels(BY_NAME[name], frames=FRAMES, random=np.random.default_rng(2))
    moved = ((np.diff(shown.place, axis=0) + 0.5) % 1 - 0.5).sum(axis=0) * FRAMES / (FRAMES - 1)
    speed = np.hypot(*moved) / np.hypot(right, down)
    assert 0.85 <= speed <= 1.15
    assert np.allclose(np.abs(moved), speed * np.abs([right, down]))
    assert np.sign(moved[1]) == np.sign(down)


def test_what_an_action_does_not_move_stays_as_it_started() -> None:
    still = levels(BY_NAME["stands still"], frames=FRAMES, random=np.random.default_rng(3))
    for level in (still.place, still.angle, still.size, still.filling, still.hue):
        assert (level == level[0]).all()
    blinking = levels(BY_NAME["blinks fast"], frames=FRAMES, random=np.random.default_rng(3))
    assert (blinking.place == blinking.place[0]).all()
    assert len(set(blinking.filling < 0.5)) == 2
