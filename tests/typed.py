"""Imported before tasd, this has every call within it checked against its annotations.

beartype checks types; where arrays are named, jaxtyping compares their shapes within one call.
jaxtyping's own decorator binds the arguments and checks them twice, for the sake of its messages:
ours asks beartype once, and only functions that name arrays get the context of shapes. Neither
looks at variables within functions.
"""

import functools
import re
import sys
import typing
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.claw import beartype_package

CONF = BeartypeConf(claw_is_pep526=False, violation_type=TypeError)
# Names that are imported for mypy alone are unknown to beartype on its own.
NEEDED = re.compile(r"jaxtyping|TYPE_CHECKING")
SHAPES = jaxtyping.jaxtyped("context")


def modules(folder: Path) -> list[str]:
    """Return the names of the modules of a package that need more than beartype."""
    found = [path for path in sorted(folder.rglob("*.py")) if NEEDED.search(path.read_text())]
    parts = [path.relative_to(folder.parent).with_suffix("").parts for path in found]
    return [".".join(one).removesuffix(".__init__") for one in parts]


def checked(what: Any) -> Any:
    """Return a function, or a class with an ``__init__``, whose calls are checked."""
    if isinstance(what, type):
        if is_dataclass(what):
            what.__init__ = checked(what.__init__)
        return what
    written = what.__annotations__
    hints = {name: _known(hint, what.__globals__) for name, hint in written.items()}
    what.__annotations__ = hints
    typed = beartype(conf=CONF)(what)
    what.__annotations__ = typed.__annotations__ = written  # as typer reads them
    return _with_shapes(typed) if any(map(_names_array, hints.values())) else typed


def _with_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compare the sizes of equally named axes in the arguments and the result of each call."""

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with SHAPES:
            return function(*args, **kwargs)

    return called


def _known(hint: Any, names: dict[str, Any]) -> Any:
    """Return an annotation without text; what is known to mypy alone may be anything."""
    try:
        own = SimpleNamespace(__annotations__={"hint": hint})
        return typing.get_type_hints(own, names, include_extras=True)["hint"]
    except NameError:
        return Any


def _names_array(hint: Any) -> bool:
    array = isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)
    return array or any(map(_names_array, typing.get_args(hint)))


assert "tasd" not in sys.modules, "tasd is imported already, and unchecked"
beartype_package("tasd", conf=CONF)
jaxtyping.jaxtyped = lambda *, typechecker: checked  # the hook's decorators name it
jaxtyping.install_import_hook(modules(Path(__file__).parents[1] / "tasd"), None)
