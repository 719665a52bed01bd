"""The action classes of the demo, which differ in how a shape moves, never in its looks.

A frame shows five levels: place, angle, size, filling and hue. A level is a start drawn
uniformly, plus what the action adds over time, modulo one. At any one frame every level is
therefore uniform and independent of the others, whatever the action. A single frame carries no
information about the class; only the change from frame to frame does.

Training flips videos, so no class is the mirror image of another one: "slides" is to the left or
to the right.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Random = np.random.Generator
Split = Literal["train", "val", "test"]
Pace = Callable[[Floats, Random], Floats]  # time in 0..1 -> how much of the motion is done
Path = Callable[[Floats, Random], Floats]  # time -> (frames, 2): right, down, in frame widths


def steady(time: Floats, random: Random) -> Floats:
    """Move at constant speed."""
    return time


def faster(time: Floats, random: Random) -> Floats:
    """Move slowly at first, then faster and faster."""
    return time**2.5


def slower(time: Floats, random: Random) -> Floats:
    """Move fast at first, then slower and slower."""
    return 1 - np.clip(1 - time, 0, 1) ** 2.5


def stop_and_go(time: Floats, random: Random) -> Floats:
    """Move and rest in turn, for equal times; two rests in a video."""
    cycle = 2 * time + random.random()
    return (np.floor(cycle) + np.minimum(2 * (cycle % 1), 1)) / 2


def triangle(cycles: Floats) -> Floats:
    """Rise from 0 to 1 and fall again in each cycle; a uniform level stays uniform."""
    return np.asarray(1 - np.abs(2 * (cycles % 1) - 1))


def stay(time: Floats, random: Random) -> Floats:
    """Stay at one place."""
    return np.zeros((len(time), 2))


def line(right: float, down: float, pace: Pace = steady) -> Path:
    """Make a straight path."""
    return lambda time, random: np.outer(pace(time, random), (right, down))


def swing(right: float, down: float, cycles: float) -> Path:
    """Make a path to and fro on a straight line."""

    def path(time: Floats, random: Random) -> Floats:
        return np.outer(np.sin(2 * np.pi * (cycles * time + random.random())), (right, down))

    return path


def circle(turns: float, *, start: float = 0.24, end: float = 0.24) -> Path:
    """Make a circular path whose radius goes from ``start`` to ``end``."""

    def path(time: Floats, random: Random) -> Floats:
        angle = 2 * np.pi * (turns * time + random.random())
        radius = start + (end - start) * time
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    return path


def eight(wide: float, tall: float) -> Path:
    """Make a figure eight that lies where ``wide`` is above ``tall``, and else stands."""

    def path(time: Floats, random: Random) -> Floats:
        angle = 2 * np.pi * (1.2 * time + random.random())
        across, along = np.sin(2 * angle), np.sin(angle)
        x, y = (along, across) if wide > tall else (across, along)
        return np.stack([wide * x, tall * y], axis=1)

    return path


def polygon(corners: int, radius: float = 0.28) -> Path:
    """Make a path once round the edge of a regular polygon."""

    def path(time: Floats, random: Random) -> Floats:
        angles = 2 * np.pi * (np.arange(corners + 1) + 0.5) / corners + np.pi / 2
        at = (1.1 * time + random.random()) % 1 * corners
        x = np.interp(at, np.arange(corners + 1), radius * np.cos(angles))
        y = np.interp(at, np.arange(corners + 1), radius * np.sin(angles))
        return np.stack([x, y], axis=1)

    return path


def zigzag(right: float, down: float, width: float = 0.36, teeth: float = 2.0) -> Path:
    """Make a straight path with a motion from side to side."""

    def path(time: Floats, random: Random) -> Floats:
        aside = width * triangle(teeth * time + random.random())
        unit = np.array([-down, right]) / np.hypot(right, down)
        return np.outer(time, (right, down)) + np.outer(aside, unit)

    return path


def hops(right: float, height: float, count: float = 2.0) -> Path:
    """Make a sideways path in jumps, as of a bouncing ball."""

    def path(time: Floats, random: Random) -> Floats:
        lift = np.abs(np.sin(np.pi * (count * time + random.random())))
        return np.stack([right * time, -height * lift], axis=1)

    return path


def stairs(right: float, down: float) -> Path:
    """Make a path of steps sideways and steps up or down in turn."""

    def path(time: Floats, random: Random) -> Floats:
        start = random.random()
        cycle = 2 * time + start
        flat = np.floor(cycle) + np.minimum(2 * (cycle % 1), 1)
        steep = np.floor(cycle) + np.maximum(2 * (cycle % 1) - 1, 0)
        return np.stack([right * flat, down * steep], axis=1) / 2

    return path


def leaps(count: float) -> Path:
    """Make a path of jumps to random places, ``count`` in a video."""

    def path(time: Floats, random: Random) -> Floats:
        places = random.random((32, 2))
        return np.take(places, np.floor(count * time + random.random()).astype(int), axis=0)

    return path


def tremble(width: float) -> Path:
    """Make a path of small random steps around one place."""
    return lambda time, random: width * (random.random((len(time), 2)) - 0.5)


@dataclass(frozen=True)
class Action:
    """An action class: a path, and the changes of the other levels in one video.

    spin: turns. rock: share of a turn that it rocks to either side.
    swell: times it grows from small to large and starts again from small (negative: shrinks).
    breathe: times it grows and shrinks back. blink: times it goes from filled to hollow and
    back. recolour: times through all hues.
    """

    name: str
    split: Split
    path: Path = stay
    spin: float = 0.0
    rock: float = 0.0
    swell: float = 0.0
    breathe: float = 0.0
    blink: float = 0.0
    recolour: float = 0.0


@dataclass(frozen=True)
class Levels:
    """The levels of each frame of one video; all in 0..1, each uniform at each frame."""

    place: Floats  # (frames, 2): right, down; the edges of the frame are joined
    angle: Floats
    size: Floats
    filling: Floats  # below one half: filled, else hollow
    hue: Floats


def levels(action: Action, *, frames: int, random: Random) -> Levels:
    """Draw the levels of one video of ``action``: random start, speed (within 15 %) and mirror."""
    starts = random.random(6)
    speed, mirror = random.uniform(0.85, 1.15), random.choice([-1.0, 1.0])
    time = np.arange(frames) / frames
    path = action.path(time * speed, random) * (mirror, 1)
    time = time * speed
    turn = action.spin * time + action.rock * np.sin(2 * np.pi * (1.5 * time + random.random()))
    size = triangle(starts[3] + action.breathe * time) + action.swell * time
    return Levels(
        place=(starts[:2] + path) % 1,
        angle=(starts[2] + mirror * turn) % 1,
        size=size % 1,
        filling=(starts[4] + action.blink * time) % 1,
        hue=(starts[5] + action.recolour * time) % 1,
    )


ACTIONS = (
    # straight paths
    Action("slides slowly", "train", line(0.5, 0.0)),
    Action("slides fast", "train", line(1.5, 0.0)),
    Action("rises slowly", "train", line(0.0, -0.5)),
    Action("rises fast", "test", line(0.0, -1.5)),
    Action("falls slowly", "val", line(0.0, 0.5)),
    Action("falls fast", "train", line(0.0, 1.5)),
    Action("rises aslant", "train", line(0.9, -0.9)),
    Action("falls aslant", "train", line(0.9, 0.9)),
    Action("slides faster and faster", "train", line(1.4, 0.0, faster)),
    Action("slides slower and slower", "train", line(1.4, 0.0, slower)),
    Action("rises faster and faster", "train", line(0.0, -1.4, faster)),
    Action("falls slower and slower", "train", line(0.0, 1.4, slower)),
    Action("slides with stops", "val", line(1.0, 0.0, stop_and_go)),
    Action("falls with stops", "train", line(0.0, 1.0, stop_and_go)),
    # to and fro
    Action("swings slowly", "train", swing(0.3, 0.0, 1.0)),
    Action("swings fast", "train", swing(0.3, 0.0, 2.3)),
    Action("bobs slowly", "test", swing(0.0, 0.3, 1.0)),
    Action("bobs fast", "train", swing(0.0, 0.3, 2.3)),
    Action("swings aslant", "train", swing(0.22, 0.22, 1.3)),
    # round paths
    Action("circles slowly", "train", circle(0.8)),
    Action("circles fast", "test", circle(2.0)),
    Action("spirals out", "train", circle(1.6, start=0.04, end=0.36)),
    Action("spirals in", "train", circle(1.6, start=0.36, end=0.04)),
    Action("draws a lying eight", "train", eight(0.34, 0.2)),
    Action("draws a standing eight", "val", eight(0.2, 0.34)),
    Action("walks round a square", "train", polygon(4)),
    Action("walks round a triangle", "train", polygon(3)),
    # bent paths
    Action("zigzags sideways", "train", zigzag(0.8, 0.0)),
    Action("zigzags upwards", "train", zigzag(0.0, -0.8)),
    Action("zigzags downwards", "test", zigzag(0.0, 0.8)),
    Action("hops sideways", "train", hops(0.7, 0.34)),
    Action("climbs stairs", "train", stairs(0.9, -0.9)),
    Action("walks down stairs", "val", stairs(0.9, 0.9)),
    Action("leaps now and then", "train", leaps(2.5)),
    Action("leaps all the time", "val", leaps(8.0)),
    Action("trembles", "train", tremble(0.12)),
    # on the spot
    Action("stands still", "train"),
    Action("spins slowly", "train", spin=0.5),
    Action("spins fast", "test", spin=1.6),
    Action("rocks", "train", rock=0.15),
    Action("grows", "test", swell=0.9),
    Action("shrinks", "train", swell=-0.9),
    Action("breathes slowly", "train", breathe=1.0),
    Action("breathes fast", "train", breathe=2.3),
    Action("blinks slowly", "train", blink=1.0),
    Action("blinks fast", "test", blink=2.5),
    Action("changes colour slowly", "train", recolour=0.6),
    Action("changes colour fast", "val", recolour=1.8),
    # two changes at once
    Action("rises spinning", "train", line(0.0, -0.9), spin=1.0),
    Action("falls blinking", "train", line(0.0, 0.9), blink=2.0),
    Action("slides breathing", "train", line(0.9, 0.0), breathe=1.5),
    Action("circles spinning", "train", circle(1.0), spin=1.5),
    Action("swings changing colour", "train", swing(0.3, 0.0, 1.2), recolour=1.0),
    Action("slides spinning", "test", line(0.9, 0.0), spin=1.0),
)
