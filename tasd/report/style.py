"""How figures look: small, colour-blind safe, readable when printed in grey."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito 2008, in an order in which neighbours also differ in lightness.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
DASHES = ("-", "--", "-.", ":")
GREY = "#767676"
PAGE = 7.0  # inches, the width of a page's text

SETTINGS: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "figure.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "pdf.fonttype": 42,  # letters stay letters
    "svg.fonttype": "none",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw figures within this; nothing global is left changed."""
    with matplotlib.rc_context(SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def light_grid(axes: Axes, *, axis: Literal["x", "y"] = "y") -> None:
    """Thin lines behind the data, to read values off."""
    axes.grid(visible=True, axis=axis, color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)


def save(figure: Figure, folder: Path, name: str) -> Path:
    """``name``.png to look at and ``name``.pdf to print; returns the PNG's path."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.pdf")
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=200)
    return path
