"""The drawing of paired comparisons: an interval for each, and a table with the sign test."""

import math
from collections.abc import Sequence

from tasd.evaluation.metrics import Interval
from tasd.report.markup import escaped, paragraph, plain_table, short
from tasd.report.paired import Comparison, Comparisons

ROW = 76  # pixels: three lines of text, and the interval below them
NAME = 44  # characters: more do not fit a phone
CAPTION = (
    "Difference in accuracy on the same episodes, in points, with the 95 % interval of the "
    "sampling of episodes. The p-value is of the two-sided sign test over episodes. Neither covers "
    "other classes, other videos or other training runs."
)
SEVERAL = " With several comparisons a small p-value is likelier by chance; none is corrected."
HEADER = ("second minus first", "points", "95 % interval", "p", "better in", "worse in", "equal in")


def paired_chart(found: Comparisons) -> str:
    """Draw the comparisons as HTML with inline SVG."""
    parts = [paragraph(note, kind="quiet") for note in found.notes]
    if found.made:
        caption = CAPTION + (SEVERAL if len(found.made) > 1 else "")
        rows = [_row(one) for one in found.made]
        parts = [
            paragraph(caption, kind="caption"),
            _intervals(found.made),
            plain_table(HEADER, rows, label="paired comparisons"),
            *parts,
        ]
    return "".join(parts)


def p_text(value: float) -> str:
    """Return a p-value with two digits, as in 0.034; below 0.0001 as a bound."""
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _title(one: Comparison) -> str:
    return f"{one.second} minus {one.first}"


def _row(one: Comparison) -> tuple[str, ...]:
    gain, paired = one.paired.difference, one.paired
    counts = (f"{number:,}" for number in (paired.better, paired.worse, paired.equal))
    return (_title(one), f"{100 * gain.mean:+.2f}", _ends(gain), p_text(paired.p_value), *counts)


def _ends(gain: Interval) -> str:
    unknown = math.isnan(gain.low)
    return "unknown" if unknown else f"{100 * gain.low:+.2f} to {100 * gain.high:+.2f}"


def _intervals(made: Sequence[Comparison]) -> str:
    """Draw an interval for each comparison around a line at zero; widths are in percent."""
    known = [one for one in made if not math.isnan(one.paired.difference.low)]
    ends = [abs(end) for one in known for end in _interval(one)]
    most = max([*ends, *(abs(one.paired.difference.mean) for one in made), 0.001])
    height = ROW * len(made) + 22

    def place(value: float) -> str:
        return f"{50 + 46 * value / most:.2f}%"

    parts = [
        f"<svg class=fluid height={height} role=img aria-label='paired differences'>",
    ]
    for number, one in enumerate(made):
        y, gain = ROW * number + 62, one.paired.difference
        said = f"{100 * gain.mean:+.1f} points, p {p_text(one.paired.p_value)}"
        low, high = (gain.mean, gain.mean) if math.isnan(gain.low) else (gain.low, gain.high)
        parts.append(
            f"<g><title>{escaped(_title(one))}: {100 * gain.mean:+.2f}, {_ends(gain)}</title>"
            f"<text x=0 y={y - 48}>{escaped(short(one.second, NAME))}</text>"
            f"<text x=0 y={y - 32}>minus {escaped(short(one.first, NAME))}</text>"
            f"<text class=quiet x=0 y={y - 16}>{escaped(said)}</text>"
            f"<line class=axis x1=50% x2=50% y1={y - 9} y2={y + 9} />"
            f"<line class=interval x1={place(low)} x2={place(high)} y1={y} y2={y} />"
            f"<circle class=k0 cx={place(gain.mean)} cy={y} r=5 /></g>"
        )
    y = height - 4
    for value, anchor in ((-most, "start"), (most, "end")):
        parts.append(f"<text x={place(value)} y={y} text-anchor={anchor}>{100 * value:+.1f}</text>")
    return "".join(parts) + "</svg>"


def _interval(one: Comparison) -> tuple[float, float]:
    return one.paired.difference.low, one.paired.difference.high
