"""Pieces of HTML that several parts of the page are made of; every text in them is escaped."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasd.foreign import clean

NUMBERS = re.compile(r"[-+±<%.,\d\s()]*( to [-+.,\d]+)?")  # as in "72.1 to 74.0"
FEW_LETTERS, LONG_WORD = 20, 20  # characters: longer words may be broken at the end of a line
COLOURS = 7  # of the page's palette, `k0` to `k6`
MOST_COLUMNS, MOST_LETTERS = 5, 60  # of the header of a table that fits a narrow screen
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
    names = [clean(cell) for cell in header]
    return scrolled(table_of(names, [_row(row, names) for row in rows]), label=label)


def table_of(header: Sequence[object], rows: Sequence[str]) -> str:
    """Return a table; on a narrow screen each row of a wide one is a list. rows: as HTML."""
    head = "".join(
        f"<th scope=col{_kind(clean(cell), most=0)}>{escaped(cell)}</th>" for cell in header
    )
    wide = len(header) > MOST_COLUMNS or sum(map(len, map(clean, header))) > MOST_LETTERS
    kind = " class=stack" if wide or any("class=long" in row for row in rows) else ""
    return f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def table_cell(text: object, name: str, *, tag: str = "td") -> str:
    """Return a cell. name: of its column, which stands before it on a narrow screen."""
    said = clean(text)
    scope = " scope=row" if tag == "th" else ""
    return f"<{tag}{scope}{_kind(said)} data-of='{escaped(name)}'>{escaped(said)}</{tag}>"


def _row(row: Iterable[object], names: Sequence[str]) -> str:
    first, *others = (
        table_cell(cell, name, tag="td" if place else "th")
        for place, (cell, name) in enumerate(zip(row, names, strict=True))
    )
    return f"<tr>{first}{''.join(others)}</tr>"


def _kind(text: str, *, most: int = FEW_LETTERS) -> str:
    """The class of a cell: numbers and few words stay whole, and long words may be broken.

    most: the letters of few words.
    """
    if most > 0 and (NUMBERS.fullmatch(text) or len(text) <= most):
        return " class=whole"
    return " class=long" if max(map(len, text.split()), default=0) > LONG_WORD else ""


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
