"""Training curves of a run: accuracy, total loss, weighted terms and their gradient norms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasd.report.outcome import Outcome
from tasd.report.style import COLOURS, DASHES, GREY, PAGE, light_grid, new_figure, style
from tasd.report.style import label as label_of

Line = Mapping[str, Any]

NETWORKS = {"student": COLOURS[0], "teacher": COLOURS[1]}
# Labels of the terms; the losses of a matcher are labelled by their names.
TERMS = {
    "metric": "metric, $L_M$",
    "ce": "cross-entropy, $L_{CE}$ (Eq. 2)",
    "at": "attention, $L_{AT}$ (Eq. 9)",
    "am": "masked maps, $L_{AM}$ (Eq. 10)",
    "pr": "pixel relation, $L_{PR}$ (Eq. 11)",
    "auxiliary": "training classes",
}


def training_curves(outcome: Outcome) -> Figure | None:
    """Draw four panels of one run; return None where its log is empty."""
    lines = outcome.run.read_metrics()
    train = [line for line in lines if line["kind"] == "train"]
    if not train:
        return None
    with style():
        figure = new_figure(PAGE, 4.6)
        (accuracy, total), (terms, gradients) = figure.subplots(2, 2)
        _accuracy(accuracy, lines, train, outcome.config.episode.way)
        _total(total, train)
        _terms(terms, train)
        _gradients(gradients, [line for line in lines if line["kind"] == "gradients"])
        # The lower two panels share their colours.
        figure.legend(*terms.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _accuracy(axes: Axes, lines: Sequence[Line], train: Sequence[Line], way: int) -> None:
    of = next((f", {line['way']}-way" for line in lines if "way" in line), "")
    axes.set_title(f"accuracy (student, teacher: validation classes{of})")
    trained = np.array([line["accuracy"] for line in train])
    _smooth(axes, _episodes(train), trained, GREY, "training")
    checks = [line for line in lines if line["kind"] == "validation"]
    for name, colour in NETWORKS.items():
        found = [line for line in checks if name in line]
        if found:
            mean = np.array([_number(line[name], "accuracy") for line in found])
            half = np.array([_number(line[name], "half") for line in found])
            episode, dash = _episodes(found), DASHES[name == "teacher"]
            axes.fill_between(episode, mean - half, mean + half, color=colour, alpha=0.2, lw=0)
            axes.plot(episode, mean, dash, color=colour, label=name, marker=".", markersize=3)
    axes.axhline(1 / way, color="black", linewidth=0.6, linestyle=":", label="chance")
    axes.set_ylim(0, 1.02)
    _finish(axes, "share of queries")
    # The legend fits into the empty strip below chance.
    spacing = {"handlelength": 1.4, "columnspacing": 0.9, "borderaxespad": 0.1}
    axes.legend(loc="lower center", ncols=4, **spacing)


def _number(value: Any, key: str) -> float:
    """Read a value of a validation line: an accuracy alone, or one with its half interval."""
    if isinstance(value, Mapping):
        return float(value.get(key, 0.0))
    return float(value) if key == "accuracy" else 0.0


def _total(axes: Axes, train: Sequence[Line]) -> None:
    axes.set_title("total loss")
    _smooth(axes, _episodes(train), np.array([line["loss"] for line in train]), COLOURS[0], None)
    _finish(axes, "loss")


def _terms(axes: Axes, train: Sequence[Line]) -> None:
    axes.set_title("terms of the loss")
    for name, colour in _coloured(train):
        found = [line for line in train if name in line["terms"]]
        values = np.array([line["terms"][name]["weighted"] for line in found])
        _smooth(axes, _episodes(found), values, colour, TERMS.get(name) or label_of(name))
    axes.set_yscale("symlog", linthresh=1e-3)
    _finish(axes, "weight x loss")


def _gradients(axes: Axes, lines: Sequence[Line]) -> None:
    axes.set_title("gradient norm: maps solid, frames dashed")
    for name, colour in _coloured(lines):
        for key, dash in (("maps", "-"), ("frames", "--")):
            found = [line for line in lines if line["terms"].get(name, {}).get(key)]
            values = [line["terms"][name][key] for line in found]
            if values:
                axes.plot(_episodes(found), values, dash, color=colour, linewidth=1)
    if axes.lines:
        axes.set_yscale("log")
    else:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=GREY)
    _finish(axes, "norm")


def _coloured(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Return each term with its colour, in the order of the equations, a matcher's losses last.

    A term of `TERMS` has the same colour in every figure.
    """
    found = {name for line in lines for name in line["terms"]}
    every = [*TERMS, *sorted(found - TERMS.keys())]
    return [(n, COLOURS[place % len(COLOURS)]) for place, n in enumerate(every) if n in found]


def _episodes(lines: Sequence[Line]) -> Float[np.ndarray, " lines"]:
    return np.array([line["episode"] for line in lines], float)


def _smooth(
    axes: Axes,
    episode: Float[np.ndarray, " lines"],
    values: Float[np.ndarray, " lines"],
    colour: str,
    label: str | None,
) -> None:
    """Plot the running mean over a fiftieth of the run, because single steps are noise."""
    width = max(1, len(values) // 50)
    kernel = np.ones(width) / width
    axes.plot(
        np.convolve(episode, kernel, "valid"),
        np.convolve(values, kernel, "valid"),
        color=colour,
        label=label,
        linewidth=1,
    )


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlabel("training episode")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.set_ylabel(label)
    light_grid(axes)
