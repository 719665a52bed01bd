"""Pieces of HTML that several parts of the page are made of; every text in them is escaped."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

from tasd.foreign import clean

COLOURS = 7  # of the page's palette, `k0` to `k6`
SHAPES = 4  # of points, `m0` to `m3`


@dataclass(frozen=True)
class Section:
    """A part of the page: heading, and HTML below it. key: its address within the page."""

    key: str
    heading: str
    content: str

    @property
    def html(self) -> str:
        """The part with its heading."""
        return f"<section id='{self.key}'><h2>{escaped(self.heading)}</h2>{self.content}</section>"


def escaped(text: object) -> str:
    """Return a text for HTML, also within quotes, in which no character moves the cursor."""
    return html.escape(clean(text))


def paragraph(text: object, *, kind: str = "") -> str:
    """Return a paragraph; kind: its class in the style sheet."""
    return f"<p class='{kind}'>{escaped(text)}</p>" if kind else f"<p>{escaped(text)}</p>"


def scrolled(content: str, *, label: str) -> str:
    """Return content that scrolls by itself where it is wider than the page, with arrow keys too.

    label: for those who hear the page.
    """
    return f"<div class=wide tabindex=0 role=region aria-label='{escaped(label)}'>{content}</div>"


def plain_table(header: Iterable[object], rows: Iterable[Iterable[object]], *, label: str) -> str:
    """Return a table whose first column names its rows."""
    head = "".join(f"<th scope=col>{escaped(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return scrolled(table, label=label)


def _cells(row: Iterable[object]) -> str:
    first, *others = map(escaped, row)
    return f"<th scope=row>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in others)


def colour(place: int) -> str:
    """Return the class of the palette for the run or class number ``place``."""
    return f"k{place % COLOURS}"


def shape(place: int) -> str:
    """Return the shape of points of class number ``place``: colours first, then another shape."""
    return f"m{place // COLOURS % SHAPES}"


def swatch(place: int) -> str:
    """Return a mark in the colour and shape of number ``place``."""
    mark = f"<use href='#{shape(place)}' x=7 y=7 class='{colour(place)}'/>"
    return f"<svg class=swatch width=14 height=14 aria-hidden=true>{mark}</svg>"


def short(name: object, length: int = 24) -> str:
    """Return a name of at most ``length`` characters, its end left out."""
    text = clean(name)
    return text if len(text) <= length else f"{text[: length - 1]}…"
