"""The seam to experiment trackers: one small protocol, and what a tracker is opened with."""

import errno
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from tasd.errors import cause

Entry = str | int | float | None
End = Literal["finished", "stopped", "failed"]

_LOGIN = re.compile(r"//[^/@\s]+@")
LONGEST_REASON = 200


@dataclass(frozen=True)
class Table:
    """Rows of equal length under named columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]


@dataclass(frozen=True)
class Start:
    """All that a tracker is opened with.

    folder: of the run. name: of the run. episode: the first whose numbers are new; a tracker that
    can drops what it has after it. known: what found the tracked run before; empty the first time.
    adds: True where the run has ended and a result is added to it.
    """

    folder: Path
    name: str
    episode: int = 0
    known: Mapping[str, str] = field(default_factory=dict)
    adds: bool = False


@runtime_checkable
class Tracker(Protocol):
    """An open run of a tracker. Every method may raise anything: `Tracking` catches it."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Plain data that finds the tracked run again, without secrets."""

    @property
    def place(self) -> str:
        """The place to look at the run, in a few words; empty where nothing needs to be said."""

    def numbers(self, values: Mapping[str, float], *, episode: int) -> None:
        """Add a value of each series."""

    def picture(
        self, name: str, image: UInt8[np.ndarray, "height width 3"], *, episode: int
    ) -> None:
        """Add a picture of a series."""

    def config(self, values: Mapping[str, Any]) -> None:
        """Set the settings of the run, a tree of plain data."""

    def table(self, name: str, table: Table) -> None:
        """Add a table."""

    def finish(self, end: End) -> None:
        """Send what is left, and close."""


def without_login(text: str) -> str:
    """Return a text in which addresses have no names and passwords: ``//me:secret@`` -> ``//``."""
    return _LOGIN.sub("//", text)


def reason(error: BaseException) -> str:
    """Return an error of a tracker as one short line without names and passwords."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return cause(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = without_login(" ".join(lines)) if lines else type(error).__name__
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "..."


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a tree with dots in its names: ``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def markdown(table: Table) -> str:
    """Write a table in Markdown."""
    rows: Sequence[Sequence[Entry]] = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join("| " + " | ".join(map(_written, row)) + " |" for row in rows)


def _written(entry: Entry) -> str:
    if entry is None:
        return ""
    text = f"{entry:.4f}" if isinstance(entry, float) else str(entry)
    return text.replace("|", r"\|")
