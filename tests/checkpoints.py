"""Checkpoints changed by a test and written again, with a digest of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasd.runs.tensorfile import read_header, read_tensors, write_tensors


def about(path: Path) -> dict[str, Any]:
    """Return what a checkpoint notes besides its tensors."""
    with path.open("rb") as file:
        return dict(read_header(file).about)


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write a checkpoint again with another header; other names of the file keep the old one."""
    with path.open("rb") as file:
        read = read_tensors(file)
    noted = dict(read.about)
    change(noted)
    path.unlink()
    write_tensors(path, read.tensors, noted)


def flip(path: Path, *, bit: int) -> None:
    """Turn one bit of a file."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
