"""The memory of tensors: their bytes, and the order in which their dimensions lie."""

import math

import torch
from torch import Tensor


def bytes_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor on the CPU, for reading and writing."""
    if tensor.numel() == 0:
        return memoryview(b"")
    return memoryview(tensor.view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def order_of(tensor: Tensor) -> tuple[int, ...] | None:
    """Return the order of dimensions in memory where it is channels last, None where it is not."""
    if tensor.ndim not in (4, 5):
        return None
    order = (0, *range(2, tensor.ndim), 1)
    laid = tensor.permute(order)
    rows = tuple(math.prod(laid.shape[i + 1 :]) for i in range(laid.ndim))
    plain = tuple(math.prod(tensor.shape[i + 1 :]) for i in range(tensor.ndim))
    return order if laid.stride() == rows and tensor.stride() != plain else None


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """Return the order that undoes ``order``."""
    return tuple(order.index(i) for i in range(len(order)))
