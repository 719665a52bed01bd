"""Figure 2 of the paper: the accuracy of each class under test, several runs side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tasd.report.outcome import Outcome
from tasd.report.style import COLOURS, PAGE, light_grid, new_figure, style

ROOM_PER_BAR = 0.085  # inches


def per_class_bars(outcomes: Sequence[Outcome]) -> Figure | None:
    """One group of bars a class, the hardest for the first run on top; None without results."""
    told = [(o.name, o.chosen["per_class"]) for o in outcomes if o.chosen is not None]
    if not told:
        return None
    first: Mapping[str, float] = told[0][1]
    classes = sorted({name for _, values in told for name in values})
    classes.sort(key=lambda name: first.get(name, -1.0), reverse=True)
    way = next(o.result["episodes"]["way"] for o in outcomes if o.result is not None)
    with style():
        height = 0.9 + len(classes) * (0.06 + ROOM_PER_BAR * len(told))
        figure = new_figure(PAGE * 0.8, max(1.6, height))
        axes = figure.subplots()
        thick = 0.8 / len(told)
        for place, (name, values) in enumerate(told):
            # The first run on top of each group: bars run downwards.
            at = np.arange(len(classes)) + (len(told) - 1) * thick / 2 - place * thick
            axes.barh(
                at,
                [100 * values.get(label, np.nan) for label in classes],
                thick,
                label=name,
                color=COLOURS[place % 7],
            )
        top = axes.get_xaxis_transform()
        axes.axvline(100 / way, color="black", linewidth=0.8, linestyle=":")
        axes.text(100 / way, 1, "chance", transform=top, ha="center", va="bottom", size=7)
        axes.set_yticks(range(len(classes)), classes)
        axes.set_ylim(-0.6, len(classes) - 0.4)
        axes.set_xlim(0, 100)
        axes.set_xlabel("accuracy on the class's queries, percent")
        axes.tick_params(axis="y", length=0)
        light_grid(axes, axis="x")
        if len(told) > 1:
            figure.legend(loc="outside upper left", ncols=min(3, len(told)))
        else:
            axes.set_title(told[0][0], loc="right")
    return figure
