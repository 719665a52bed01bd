"""Whether a network has been trained on classes that it is to be tested on."""

from collections.abc import Sequence

from tasd.datasets.base import class_key
from tasd.errors import UserError


def overlap(trained_on: Sequence[str], tested: Sequence[str]) -> tuple[str, ...]:
    """The classes under test that a network was trained on, however they are spelled."""
    known = {class_key(name) for name in trained_on}
    return tuple(name for name in tested if class_key(name) in known)


def refuse_overlap(
    name: str, trained_on: Sequence[str], tested: Sequence[str], *, allowed: bool
) -> tuple[str, ...]:
    """The overlap, where it is ``allowed``. Raises `UserError` where it is not and there is one."""
    seen = overlap(trained_on, tested)
    if seen and not allowed:
        named = ", ".join(seen[:5]) + (" ..." if len(seen) > 5 else "")
        raise UserError(
            f"{name} was trained on {len(seen)} of the {len(tested)} classes under test "
            f"({named}): the result would be no few-shot result; test another split, or accept "
            "it with --allow-overlap, which marks the result"
        )
    return seen
