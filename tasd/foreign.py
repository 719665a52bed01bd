"""Files and names from elsewhere: opened without waiting, fit for a screen, a sheet, a path."""

import os
import re
import stat
import sys
import unicodedata
from pathlib import Path
from typing import BinaryIO

# Controls (Cc), invisible characters that turn the direction of text (Cf), line and paragraph
# separators (Zl, Zp), and halves of characters, as in file names that are not UTF-8 (Cs).
_UNFIT = ("Cc", "Cf", "Zl", "Zp", "Cs")
# A cell that begins so is a formula to a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PART = re.compile(r"[^\w.+()-]+")
LONGEST_PART = 100
_JOINERS = "\u200c\u200d"  # Persian, Hindi and emoji are written with them


def clean(text: object, *, keep: str = "") -> str:
    r"""Return one line of text in which no character moves the cursor or turns the direction.

    Terminal escapes, other controls and marks of direction appear as Python writes them, such as
    ``\x1b``. keep: characters that stay as they are, as "\n" for a text of several lines.
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or _fit(c) else _written(c) for c in text)


def clean_lines(text: object) -> str:
    """Return text of several lines with each of them clean."""
    return clean(text, keep="\n")


def cell(text: str) -> str:
    """Return text for a cell of a CSV file; an apostrophe before it where it were a formula."""
    return f"'{clean(text)}" if text.startswith(FORMULA) else clean(text)


def path_part(name: str) -> str:
    """Return a name as one part of a path: no separators, no leading dot, of bounded length.

    Plain names such as ``ucf101`` stay as they are.
    """
    return _PART.sub("_", name).lstrip(".")[:LONGEST_PART] or "_"


def remark(text: str) -> None:
    """Print one line to standard error."""
    print(clean(text), file=sys.stderr, flush=True)


def _fit(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in _UNFIT


def _written(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises `OSError`, also where it is a pipe, a device or a folder.

    Opening a pipe would wait until something is written to it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind != stat.S_IFREG:
            raise OSError(None, f"it is {_KINDS.get(kind, 'no file')}, not a file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
