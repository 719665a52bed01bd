"""Printing of text that may hold names from files."""

from typing import Any

import typer

from tasd.files import as_json
from tasd.foreign import clean_lines


def say(text: object, *, err: bool = False) -> None:
    """Print lines without terminal escapes or other controls, to standard error with ``err``."""
    typer.echo(clean_lines(text), err=err)


def say_json(content: Any, *, indent: int | None = None) -> None:
    """Print a JSON document, in ASCII: no character of a name reaches the terminal as it is."""
    typer.echo(as_json(content, indent=indent, ascii=True))
