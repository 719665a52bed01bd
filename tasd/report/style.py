"""Style of figures: small, safe for colour-blind readers, readable when printed in grey."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tasd.files import write_bytes
from tasd.foreign import clean

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
    "pdf.fonttype": 42,  # fonts are embedded as TrueType, so that text can be searched
    "svg.fonttype": "none",
}
LONGEST_NAME = 60  # characters of a name in a figure


def label(name: object) -> str:
    r"""Return a name for a figure, cut where it is long, in which ``$`` begins no formula.

    matplotlib leaves names that begin with an underscore out of a legend: they get a space.
    """
    text = clean(name)
    if len(text) > LONGEST_NAME:
        text = text[: LONGEST_NAME - 1] + "…"
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


@contextmanager
def style() -> Iterator[None]:
    """Apply the style within a `with` block; matplotlib's settings are restored at its end."""
    with matplotlib.rc_context(SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure; width and height are in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def light_grid(axes: Axes, *, axis: Literal["x", "y"] = "y") -> None:
    """Draw thin grid lines behind the data."""
    axes.grid(visible=True, axis=axis, color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Save ``name``.png for the screen and ``name``.pdf for print; return the PNG's path.

    Raises `UserError`.
    """
    path = folder / f"{name}.png"
    write_bytes(path.with_suffix(".pdf"), figure_bytes(figure, "pdf"))
    write_bytes(path, figure_bytes(figure, "png", dpi=200))
    return path


def figure_bytes(figure: Figure, kind: str, *, dpi: int | None = None) -> bytes:
    """Return the file of a figure, such as "png"; on a full disk matplotlib's writers break."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=dpi or "figure")
    return file.getvalue()
