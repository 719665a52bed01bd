"""Choosing among implementations by name."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from tasd.errors import UserError

Part = TypeVar("Part")


def pick(table: Mapping[str, Part], name: str, *, what: str) -> Part:
    """The entry of ``table`` called ``name``; a wrong name is answered with the right ones.

    ``what`` names the kind of thing in the message ("backbone", "matcher").
    Raises `UserError`.
    """
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UserError(f"no {what} is called {name!r}; there are: {', '.join(table)}{hint}")
