"""A picture of the labels and shares over the time of long videos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tasd.errors import UserError
from tasd.files import write_bytes
from tasd.predict.answer import NONE_OF_THESE, Answer
from tasd.predict.windows import segments
from tasd.report.style import (
    COLOURS,
    GREY,
    PAGE,
    figure_bytes,
    label,
    light_grid,
    new_figure,
    style,
)

MOST_LINES = len(COLOURS)
PANEL_HEIGHT = 1.8  # inches


def draw_timeline(classes: Sequence[str], answers: Sequence[Answer], path: Path) -> Path:
    """Draw a panel for each video, one below the other: labels as a band, shares as lines.

    Of more than seven classes, the seven that most often have the highest score are drawn.
    Raises `UserError` where there is nothing to draw, or ``path`` cannot be written.
    """
    by_video: dict[Path, list[Answer]] = {}
    for answer in answers:
        if answer.scores:
            by_video.setdefault(answer.video, []).append(answer)
    if not by_video:
        raise UserError("there is no timeline to draw: no video could be read")
    drawn = _drawn_classes(classes, answers)
    colours = {name: COLOURS[index] for index, name in enumerate(drawn)}
    with style():
        figure = new_figure(PAGE, 0.5 + PANEL_HEIGHT * len(by_video))
        grid = figure.subplots(len(by_video), squeeze=False)
        for axes, (video, of_video) in zip(grid[:, 0], by_video.items(), strict=True):
            _panel(axes, video, of_video, colours)
        grid[-1, 0].set_xlabel("seconds")
        _legend(figure, colours, grid[0, 0], none=any(not answer.accepted for answer in answers))
        try:
            picture = figure_bytes(figure, path.suffix.removeprefix(".").lower() or "png", dpi=160)
        except ValueError as error:
            raise UserError(f"{path} cannot be written ({error}); name a .png file") from None
    write_bytes(path, picture)
    return path


def _drawn_classes(classes: Sequence[str], answers: Sequence[Answer]) -> list[str]:
    """All classes, or of too many those that most often have the highest score."""
    if len(classes) <= MOST_LINES:
        return list(classes)
    first = [answer.best for answer in answers if answer.best is not None]
    return sorted(classes, key=lambda name: -first.count(name))[:MOST_LINES]


def _panel(axes: Axes, video: Path, answers: Sequence[Answer], colours: dict[str, str]) -> None:
    spans = np.array([answer.span for answer in answers], np.float64)
    middles = spans.mean(axis=1)
    for name, colour in colours.items():
        shares = [answer.probabilities[name] for answer in answers]
        marker = "." if len(answers) == 1 else None  # a line through one point is invisible
        axes.plot(middles, shares, color=colour, label=label(name), marker=marker)
    for segment in segments(answers):
        band = _band_style(segment.label, colours)
        axes.axvspan(segment.start, segment.end, 1.06, 1.2, clip_on=False, **band)
        _caption(axes, segment.label, segment.start, segment.end, spans[-1, 1])
    axes.set_title(label(video.name), pad=22)
    axes.set_xlim(0, spans[-1, 1])
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share")
    light_grid(axes)


def _band_style(label: str, colours: dict[str, str]) -> dict[str, Any]:
    """Colour and hatch of a label's band."""
    none = label == NONE_OF_THESE
    hatch = {"hatch": "////", "edgecolor": "white"} if none else {}
    return {"facecolor": colours.get(label, GREY), "linewidth": 0, **hatch}


def _caption(axes: Axes, name: str, start: float, end: float, duration: float) -> None:
    """Write the label into its band where it fits."""
    if (end - start) / duration * 95 > len(name):  # a panel is about 95 letters wide
        axes.text(
            (start + end) / 2,
            1.13,
            label(name),
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="center",
            size=6,
            color="white",
            weight="bold",
        )


def _legend(figure: Figure, colours: dict[str, str], axes: Axes, *, none: bool) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if none:
        handles.append(Patch(**_band_style(NONE_OF_THESE, colours)))
        labels.append(NONE_OF_THESE)
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
