"""The check of types and shapes in tests, in half the time.

`jaxtyping` binds the arguments of each call to the signature and checks them twice, once for the
message of an error. Here a function is wrapped by the type checker itself: it checks the arguments,
calls, and checks the result, with the same sizes for the same names.
"""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import beartype.roar
import jaxtyping._decorator
from jaxtyping._storage import pop_shape_memo, push_shape_memo, shape_str

_whole = jaxtyping._decorator.jaxtyped


def check_once() -> None:
    """Wrap the functions of all modules that are imported from now on in this way."""
    jaxtyping.jaxtyped = jaxtyping._decorator.jaxtyped = jaxtyped


def jaxtyped(fn: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """Stand for `jaxtyping.jaxtyped`; what it alone knows how to check is left to it."""
    if fn is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    # The arguments of a generator would be checked among the names of who asks for its first value.
    lazy = inspect.isgeneratorfunction(fn) or inspect.iscoroutinefunction(fn)
    if lazy or not isinstance(fn, types.FunctionType) or _names_others(fn):
        return _whole(fn, typechecker=typechecker)
    checked = typechecker(fn)

    @functools.wraps(fn)
    def with_own_names(*args: Any, **options: Any) -> Any:
        __tracebackhide__ = True
        sizes = push_shape_memo({})
        try:
            return checked(*args, **options)
        except beartype.roar.BeartypeCallHintViolation as error:
            error.add_note(shape_str(sizes))
            raise
        finally:
            pop_shape_memo()

    return with_own_names


def _names_others(fn: types.FunctionType) -> bool:
    """Tell a function with annotations in quotes: jaxtyping lets be what is not there to import."""
    hints = fn.__annotations__.values()
    return any(isinstance(hint, str) or "ForwardRef(" in repr(hint) for hint in hints)
