"""A formula in the code replaced by a wrong one, which a test must see."""

from collections.abc import Callable
from typing import Any

import pytest


def assert_seen(
    monkeypatch: pytest.MonkeyPatch, module: object, place: str, wrong: Any, seen: Callable[[], Any]
) -> None:
    """Put ``wrong`` in place of ``a.b.c`` below a module and assert that ``seen`` fails."""
    *path, last = place.split(".")
    target = module
    for name in path:
        target = getattr(target, name)
    monkeypatch.setattr(target, last, wrong)
    with pytest.raises(AssertionError):
        seen()
