"""Printing of text that may hold names from files."""

from typing import TYPE_CHECKING, Any

import typer

from tasd.files import as_json
from tasd.foreign import clean_lines

if TYPE_CHECKING:
    from tasd.progress import PhaseLine


def say(text: object, *, err: bool = False) -> None:
    """Print lines without terminal escapes or other controls, to standard error with ``err``."""
    typer.echo(clean_lines(text), err=err)


def say_json(content: Any, *, indent: int | None = None) -> None:
    """Print a JSON document, in ASCII: no character of a name reaches the terminal as it is."""
    typer.echo(as_json(content, indent=indent, ascii=True))


def waiting(text: str) -> "PhaseLine":
    """Return a block that shows what is done meanwhile: on a terminal, and nothing elsewhere."""
    from rich.console import Console

    from tasd.progress import PhaseLine

    console = Console(stderr=True)
    return PhaseLine(console, first=text, silent=not console.is_terminal)
