"""Classes that a network was both trained on and is tested on."""

from collections.abc import Sequence

from tasd.datasets.base import class_key
from tasd.errors import UserError
from tasd.progress import counted


def overlap(trained_on: Sequence[str], tested: Sequence[str]) -> tuple[str, ...]:
    """Return the tested classes that a network was trained on, whatever their spelling."""
    known = {class_key(name) for name in trained_on}
    return tuple(name for name in tested if class_key(name) in known)


def refuse_overlap(
    name: str, trained_on: Sequence[str], tested: Sequence[str], *, allowed: bool
) -> tuple[str, ...]:
    """Return the overlap. Raises `UserError` where there is one and it is not ``allowed``."""
    seen = overlap(trained_on, tested)
    if seen and not allowed:
        named = ", ".join(seen[:5]) + (" ..." if len(seen) > 5 else "")
        raise UserError(
            f"{name} was trained on {len(seen)} of the {counted(len(tested), 'class')} under test "
            f"({named}), so the result would not be few-shot; test another split, or accept it "
            "with --allow-overlap, which marks the result"
        )
    return seen
