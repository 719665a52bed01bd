"""The drawing of a confusion matrix, and the most frequent confusions in words."""

import numpy as np

from tasd.report.confusions import Confusion, Confusions, most_frequent
from tasd.report.markup import escaped, paragraph, plain_table, scrolled, short

CELL, TOP = 24, 22  # pixels
LONGEST = 60  # letters of a name that is pointed at
LETTER, NUMBER, NAMES = 7, 30, 190  # of the names: width of a letter, of a number, at most


def confusion_chart(found: Confusions, *, name: str) -> str:
    """Draw the matrix of the run ``name`` as HTML with inline SVG."""
    parts = [paragraph(_caption(found), kind="caption"), _matrix(found, name)]
    frequent = most_frequent(found)
    if frequent:
        header = ("true class", "taken for", "queries", "of", "share")
        rows = [_row(one) for one in frequent]
        parts.append(plain_table(header, rows, label=f"most frequent confusions of {name}"))
    return "".join(parts)


def _caption(found: Confusions) -> str:
    text = (
        "Rows are true classes, columns the answers, by the numbers of the rows. A cell is the "
        "share, in percent, of the queries whose episode offered the answer."
    )
    left = f" The {len(found.classes)} hardest of {len(found.classes) + found.left_out} classes."
    return text + (left if found.left_out else "")


def _matrix(found: Confusions, name: str) -> str:
    count, left = len(found.classes), _names_width(found)
    width, height = left + CELL * count + 2, TOP + CELL * count + 2
    parts = [
        f"<svg class=fixed width={width} height={height} role=img "
        f"aria-label='confusion matrix of {escaped(name)}'>"
    ]
    for place, one in enumerate(found.classes):
        middle = CELL * place + CELL / 2
        parts.append(
            f"<text x={left - 6} y={TOP + middle + 4:.0f} text-anchor=end>"
            f"{escaped(short(one))} {place + 1}<title>{escaped(one)}</title></text>"
            f"<text x={left + middle:.0f} y={TOP - 7} text-anchor=middle>{place + 1}</text>"
        )
    parts += [_cell(found, i, j, left=left) for i in range(count) for j in range(count)]
    return scrolled("".join(parts) + "</svg>", label=f"confusion matrix of {name}")


def _names_width(found: Confusions) -> int:
    longest = max((len(short(name)) for name in found.classes), default=0)
    return min(NAMES, NUMBER + LETTER * longest)


def _cell(found: Confusions, i: int, j: int, *, left: int) -> str:
    share, right = found.shares[i, j], i == j
    x, y = left + CELL * j, TOP + CELL * i
    frame = f"x={x} y={y} width={CELL - 1} height={CELL - 1}"
    if np.isnan(share) or not found.counts[i, j]:
        return f"<rect class=never {frame} />"
    said = f"{100 * share:.0f}"
    kind = "right" if right else "wrong"
    title = (
        f"{_named(found.classes[i])}, answered {_named(found.classes[j])}: "
        f"{found.counts[i, j]} of {found.offered[i, j]}"
    )
    ink = " class=over" if share > 0.55 else ""
    number = (
        f"<text{ink} x={x + CELL / 2 - 0.5:.1f} y={y + CELL / 2 + 3.5:.1f} text-anchor=middle>"
        f"{said}</text>"
        if share >= 0.005
        else ""
    )
    return (
        f"<g class=cell><title>{title}</title><rect class=never {frame} />"
        f"<rect class={kind} fill-opacity={share:.2f} {frame} />{number}</g>"
    )


def _named(name: str) -> str:
    return escaped(short(name, LONGEST))


def _row(one: Confusion) -> tuple[str, ...]:
    share = f"{100 * one.count / one.offered:.0f} %"
    return (one.true, one.predicted, f"{one.count:,}", f"{one.offered:,}", share)
