"""Pixels of a shape and its background from the levels of each frame.

A frame is a function of the scene and of that frame's levels alone: no motion blur, no trail.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasd.demo.actions import Floats, Levels, Random

SHAPES = ("disc", "triangle", "square", "pentagon", "star", "flower", "bone")
TEXTURES = ("halves", "stripes", "wedge", "spot")
CORNERS = {"triangle": 3, "square": 4, "pentagon": 5}
SMALLEST, LARGEST = 0.16, 0.30  # radii, in frame widths
EDGE = 0.5  # pixels on either side of an outline over which it fades


@dataclass(frozen=True)
class Scene:
    """The looks of one video, drawn independently of its action."""

    shape: str
    texture: str
    saturation: float
    opposite: bool  # the texture's other colour: the opposite hue, else white
    background: Floats  # (height, width, 3) in 0..1, dimmer than the shape


def scene(*, pixels: int, random: Random) -> Scene:
    """Draw a shape, a texture, colours and a background at random."""
    return Scene(
        shape=SHAPES[random.integers(len(SHAPES))],
        texture=TEXTURES[random.integers(len(TEXTURES))],
        saturation=random.uniform(0.6, 1.0),
        opposite=bool(random.random() < 0.5),
        background=_background(pixels, random),
    )


def frames(scene: Scene, shown: Levels) -> NDArray[np.uint8]:
    """Draw the frames of a video: (frames, height, width, 3) RGB."""
    side = len(scene.background)
    x, y = _offsets(shown.place, side)
    radius = SMALLEST * (LARGEST / SMALLEST) ** shown.size[:, None, None]
    distance = np.hypot(x, y)
    around = np.arctan2(y, x) - 2 * np.pi * shown.angle[:, None, None]
    outline = radius * _outline(scene.shape, around)
    fade = side / (2 * EDGE)
    inside = np.clip((outline - distance) * fade + 0.5, 0, 1)
    hole = np.clip((0.6 * outline - distance) * fade + 0.5, 0, 1)
    hollow = shown.filling[:, None, None] >= 0.5
    cover = (inside - hollow * hole)[..., None]
    first = _rgb(shown.hue, scene.saturation)[:, None, None]
    other = _rgb(shown.hue + 0.5, scene.saturation if scene.opposite else 0.0)[:, None, None]
    marked = _texture(scene.texture, distance / radius, around)[..., None]
    paint = np.where(marked, other, first)
    pixels = cover * paint + (1 - cover) * scene.background
    return np.asarray(np.rint(255 * pixels), np.uint8)


def _offsets(place: Floats, side: int) -> tuple[Floats, Floats]:
    """Right and down from the shape's centre to each pixel, the shorter way round the edges."""
    grid = (np.arange(side) + 0.5) / side
    x = (grid - place[:, :1] + 0.5) % 1 - 0.5
    y = (grid - place[:, 1:] + 0.5) % 1 - 0.5
    across, down = np.broadcast_arrays(x[:, None, :], y[:, :, None])
    return across, down


def _outline(shape: str, around: Floats) -> Floats:
    """Distance of the edge from the centre in each direction; 1 at the tips."""
    if shape in CORNERS:
        slice_ = 2 * np.pi / CORNERS[shape]
        return np.asarray(np.cos(slice_ / 2) / np.cos(around % slice_ - slice_ / 2))
    if shape == "star":
        return 1 - 0.55 * np.abs(2 * (5 * around / (2 * np.pi) % 1) - 1)
    if shape == "flower":
        return 0.8 + 0.2 * np.cos(6 * around)
    if shape == "bone":
        return 0.65 + 0.35 * np.cos(2 * around)
    assert shape == "disc", shape
    return np.full_like(around, 0.9)


def _texture(texture: str, distance: Floats, around: Floats) -> NDArray[np.bool_]:
    """True at pixels of the second colour; distances are in radii, so it grows with the shape."""
    x, y = distance * np.cos(around), distance * np.sin(around)
    if texture == "halves":
        return x > 0
    if texture == "stripes":
        return np.sin(9 * x + 1) > 0
    if texture == "wedge":
        return np.abs(around % (2 * np.pi) - np.pi) < 0.6
    assert texture == "spot", texture
    return np.hypot(x - 0.65, y) < 0.32


def _background(side: int, random: Random) -> Floats:
    """Two dim colours in soft waves that meet at the frame's joined edges, with some grain."""
    grid = 2 * np.pi * np.arange(side) / side
    wave = np.zeros((side, side))
    for _ in range(3):
        right, down = random.integers(-2, 3, 2)
        wave += np.cos(right * grid + down * grid[:, None] + random.uniform(0, 2 * np.pi))
    mix = (wave[..., None] + 3) / 6
    dark = random.uniform(0.0, 0.18, 3)
    light = np.clip(dark + random.uniform(-0.08, 0.08, 3), 0, 1)
    grain = random.normal(0, 0.01, (side, side, 1))
    return np.asarray(np.clip(dark + mix * (light - dark) + grain, 0, 1))


def _rgb(hue: Floats, saturation: float) -> Floats:
    """Bright colours of these hues: (frames, 3)."""
    thirds = np.abs((hue[:, None] + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1
    return np.asarray(1 - saturation * (1 - np.clip(thirds, 0, 1)))
