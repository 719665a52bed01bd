"""A frame depends on its scene and its levels alone."""

from dataclasses import fields, replace

import numpy as np
import pytest

from tasd.demo.actions import ACTIONS, Levels, levels
from tasd.demo.generate import FRAMES, SIDE
from tasd.demo.render import SHAPES, TEXTURES, frames, scene


def some_levels(**changed: float) -> Levels:
    """One frame in the middle, with single levels replaced."""
    level = {"angle": 0.1, "size": 0.5, "filling": 0.2, "hue": 0.6, **changed}
    return Levels(
        place=np.array([[0.5, 0.5]]), **{name: np.array([value]) for name, value in level.items()}
    )


def only(shown: Levels, frame: int) -> Levels:
    return Levels(**{part.name: getattr(shown, part.name)[[frame]] for part in fields(Levels)})


@pytest.mark.parametrize("action", ACTIONS[::6], ids=lambda action: action.name)
def test_a_frame_does_not_depend_on_the_frames_around_it(action) -> None:
    random = np.random.default_rng(0)
    looks = scene(pixels=SIDE, random=random)
    shown = levels(action, frames=FRAMES, random=random)
    video = frames(looks, shown)
    for frame in (0, 11, 23):
        assert np.array_equal(video[frame], frames(looks, only(shown, frame))[0])


@pytest.mark.parametrize("name", ["angle", "size", "filling", "hue"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("texture", TEXTURES)
def test_every_level_shows_on_every_shape(name: str, shape: str, texture: str) -> None:
    looks = scene(pixels=SIDE, random=np.random.default_rng(0))
    looks = replace(looks, shape=shape, texture=texture)
    for filling in (0.2, 0.7):
        before = some_levels(filling=filling)
        after = some_levels(**{"filling": filling, name: (getattr(before, name)[0] + 0.31) % 1})
        change = np.abs(frames(looks, before).astype(int) - frames(looks, after))
        assert (change.max(axis=-1) > 40).sum() > 15


def test_a_shape_that_leaves_one_edge_enters_at_the_other() -> None:
    looks = scene(pixels=SIDE, random=np.random.default_rng(1))
    looks = replace(looks, background=np.zeros_like(looks.background))
    middle = frames(looks, some_levels())[0]
    corner = frames(looks, replace(some_levels(), place=np.array([[0.0, 0.0]])))[0]
    assert np.array_equal(np.roll(middle, (SIDE // 2, SIDE // 2), (0, 1)), corner)


def test_a_larger_size_covers_more() -> None:
    looks = scene(pixels=SIDE, random=np.random.default_rng(1))
    looks = replace(looks, background=np.zeros_like(looks.background))
    covered = [(frames(looks, some_levels(size=size)) > 0).sum() for size in (0.0, 0.5, 0.99)]
    assert covered[0] < covered[1] < covered[2]


def test_every_shape_stands_out_from_its_background() -> None:
    for seed in range(40):
        looks = scene(pixels=SIDE, random=np.random.default_rng(seed))
        video = frames(looks, some_levels(hue=seed / 40)).astype(int)
        behind = np.rint(255 * looks.background)
        assert (np.abs(video - behind).max(axis=-1) > 60).sum() > 60
