"""Choice among implementations by name."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from tasd.errors import UserError

Part = TypeVar("Part")


def pick(table: Mapping[str, Part], name: str, *, what: str) -> Part:
    """Return the entry of ``table`` called ``name``.

    what: the kind of entry, for the message ("backbone", "matcher").

    Raises `UserError`, which lists the right names.
    """
    if name in table:
        return table[name]
    close = difflib.get_close_matches(name, table, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise UserError(f"no {what} is called {name!r}; there are: {', '.join(table)}{hint}")
