"""Many small tensors at once: a kernel for hundreds of them, where a loop would start hundreds."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor


def copy_all(targets: Iterable[Tensor], sources: Iterable[Tensor]) -> None:
    """Copy each source into the target at its place; all of them are on one device."""
    alike: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
    for target, source in zip(targets, sources, strict=True):
        own, other = alike[target.dtype]
        own.append(target)
        other.append(source)
    for own, other in alike.values():
        torch._foreach_copy_(own, other)
