"""Printing of text that may hold names from files."""

import typer

from tasd.foreign import clean_lines


def say(text: object, *, err: bool = False) -> None:
    """Print lines without terminal escapes or other controls, to standard error with ``err``."""
    typer.echo(clean_lines(text), err=err)
