"""One HTML file with all parts of a report; it needs no other file and asks no host."""

from collections.abc import Sequence

from tasd.report.markup import Section, escaped, paragraph
from tasd.report.page_keys import SCRIPT, policy
from tasd.report.page_style import STYLE

# The shapes of points: circle, square, triangle, diamond.
SHAPES = (
    "<circle id=m0 r=4 />"
    "<rect id=m1 x=-3.6 y=-3.6 width=7.2 height=7.2 />"
    "<path id=m2 d='M0-5L4.6 3.6H-4.6Z'/>"
    "<path id=m3 d='M0-5.2L5.2 0 0 5.2-5.2 0Z'/>"
)


def html_page(title: str, parts: Sequence[Section], notes: Sequence[str] = ()) -> str:
    """Return the text of the page."""
    links = "".join(f"<a href='#{part.key}'>{escaped(part.heading)}</a>" for part in parts)
    lines = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        f'<meta http-equiv=Content-Security-Policy content="{policy()}">',
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        "<link rel=icon href='data:,'>",
        f"<title>{escaped(title)}</title><style>{STYLE}</style></head><body>",
        f"<svg class=bank width=0 height=0 aria-hidden=true><defs>{SHAPES}</defs></svg>",
        f"<h1>{escaped(title)}</h1><nav aria-label='parts of the page'>{links}</nav>",
        *(paragraph(note, kind="quiet") for note in notes),
        *(part.html for part in parts),
        f"<script>{SCRIPT}</script></body></html>",
    ]
    return "\n".join(lines) + "\n"
