"""Figure 2 of the paper: the accuracy of each test class, several runs side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tasd.report.outcome import Outcome
from tasd.report.style import COLOURS, PAGE, label, light_grid, new_figure, style

BAR_HEIGHT = 0.085  # inches


def per_class_bars(outcomes: Sequence[Outcome]) -> Figure | None:
    """Draw a group of bars for each class; return None without results.

    The class on top is the one in which the first run has the lowest accuracy.
    """
    runs = [(o.name, o.chosen["per_class"]) for o in outcomes if o.chosen is not None]
    if not runs:
        return None
    first: Mapping[str, float] = runs[0][1]
    classes = sorted({name for _, values in runs for name in values})
    classes.sort(key=lambda name: first.get(name, -1.0), reverse=True)
    way = next(o.result["episodes"]["way"] for o in outcomes if o.result is not None)
    with style():
        height = 0.9 + len(classes) * (0.06 + BAR_HEIGHT * len(runs))
        figure = new_figure(PAGE * 0.8, max(1.6, height))
        axes = figure.subplots()
        thickness = 0.8 / len(runs)
        for place, (name, values) in enumerate(runs):
            # Positions count upwards: the first run gets the highest one of each group.
            centre = np.arange(len(classes)) + (len(runs) - 1) * thickness / 2 - place * thickness
            axes.barh(
                centre,
                [100 * values.get(one, np.nan) for one in classes],
                thickness,
                label=label(name),
                color=COLOURS[place % 7],
            )
        top = axes.get_xaxis_transform()
        axes.axvline(100 / way, color="black", linewidth=0.8, linestyle=":")
        axes.text(100 / way, 1, "chance", transform=top, ha="center", va="bottom", size=7)
        axes.set_yticks(range(len(classes)), [label(name) for name in classes])
        axes.set_ylim(-0.6, len(classes) - 0.4)
        axes.set_xlim(0, 100)
        axes.set_xlabel("accuracy on the class's queries, percent")
        axes.tick_params(axis="y", length=0)
        light_grid(axes, axis="x")
        if len(runs) > 1:
            figure.legend(loc="outside upper left", ncols=min(3, len(runs)))
        else:
            axes.set_title(label(runs[0][0]), loc="right")
    return figure
