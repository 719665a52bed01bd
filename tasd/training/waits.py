"""A guard against operations that make the host wait for a GPU, or that a recording cannot hold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Their results, or the shapes of their results, are numbers that the host reads.
READ = frozenset(
    f"aten::{name}"
    for name in (
        "_local_scalar_dense",
        "equal",
        "is_nonzero",
        "masked_select",
        "nonzero",
        "repeat_interleave",
        "unique_consecutive",
        "unique_dim",
        "_unique2",
    )
)
INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")


class Waits(RuntimeError):
    """The name of an operation for whose result the host would wait."""


class NoWaiting(TorchDispatchMode):
    """A context in which an operation for which the host would wait raises `Waits`.

    These are reads of a number, as by ``item`` or ``bool``; results whose shape depends on numbers,
    as of ``nonzero`` and of an index of truth values; and copies between host and GPU.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Refuse the operation or run it."""
        name = func.name().partition(".")[0]
        given = list(_tensors([*args, *(kwargs or {}).values()]))
        by_truth = name in INDEXED and any(t.dtype == torch.bool for t in given[1:])
        if name in READ or by_truth:
            raise Waits(f"{func.name()} makes the host wait for its result")
        found = func(*args, **(kwargs or {}))
        # A single number of the host may stand beside tensors of a GPU.
        places = {t.device.type for t in (*given, *_tensors([found])) if t.ndim or len(given) == 1}
        if len(places) > 1:
            raise Waits(f"{func.name()} copies between {' and '.join(sorted(places))}")
        return found


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, list | tuple):
        for part in tree:
            yield from _tensors(part)
