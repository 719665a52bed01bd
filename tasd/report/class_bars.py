"""Figure 2 of the paper for the page: bars for each class that fit a narrow screen too."""

from collections.abc import Mapping, Sequence

from tasd.report.markup import colour, escaped, swatch
from tasd.report.outcome import Outcome

MOST_CLASSES = 100  # groups of bars; the file per_class.png has all
NAME, BAR, GAP = 16, 11, 8  # pixels


def class_bars(outcomes: Sequence[Outcome]) -> str:
    """Draw a group of bars for each class as inline SVG; empty without results.

    The class on top is the one in which the first run has the lowest accuracy.
    """
    runs = [(o.name, o.chosen["per_class"]) for o in outcomes if o.chosen is not None]
    if not runs:
        return ""
    first: Mapping[str, float] = runs[0][1]
    classes = sorted({name for _, values in runs for name in values})
    every = len(classes)
    classes = sorted(classes, key=lambda name: first.get(name, 2.0))[:MOST_CLASSES]
    way = next(o.result["episodes"]["way"] for o in outcomes if o.result is not None)
    group = NAME + BAR * len(runs) + GAP
    height = group * len(classes)
    parts = [
        f"<svg class=fluid height={height} role=img aria-label='accuracy of each class'>",
        f"<line class=chance x1={_share(1 / way)} x2={_share(1 / way)} y1=0 y2={height}>"
        f"<title>chance, {100 / way:.0f} %</title></line>",
    ]
    for number, name in enumerate(classes):
        top = number * group
        parts.append(f"<text x=0 y={top + NAME - 4}>{escaped(name)}</text>")
        for place, (run, values) in enumerate(runs):
            if name in values:
                y = top + NAME + BAR * place
                parts.append(_bar(place, run=run, name=name, accuracy=values[name], y=y))
    legend = "".join(f"<span>{swatch(n)}{escaped(run)}</span>" for n, (run, _) in enumerate(runs))
    note = f"Accuracy on the queries of each class, in percent. Dotted: chance, {100 / way:.0f}."
    if every > len(classes):
        note += f" The {len(classes)} hardest of {every:,} classes; per_class.png has all."
    return f"<p class=caption>{note}</p><p class=legend>{legend}</p>{''.join(parts)}</svg>"


def _share(accuracy: float) -> str:
    """Return a length; the whole is 88 %, so that the number fits beside it."""
    return f"{88 * accuracy:.2f}%"


def _bar(place: int, *, run: str, name: str, accuracy: float, y: int) -> str:
    number = f"{100 * accuracy:.1f}"
    return (
        f"<g><title>{escaped(name)}, {escaped(run)}: {number}</title>"
        f"<rect class={colour(place)} width={_share(accuracy)} y={y} height={BAR - 2} />"
        f"<text class=number x={_share(accuracy)} dx=4 y={y + BAR - 2}>{number}</text></g>"
    )
