"""The arithmetic that every loss is computed in: float32, outside autocast."""

import torch
from torch import Tensor


def outside_autocast(tensor: Tensor) -> torch.autocast:
    """A context in which the operations on this tensor's device are not cast down."""
    return torch.autocast(tensor.device.type, enabled=False)


def widened(tensor: Tensor) -> Tensor:
    """The tensor in float32; float64 stays as it is, so that exact tests are possible."""
    return tensor.to(wide_dtype(tensor))


def wide_dtype(tensor: Tensor) -> torch.dtype:
    """float64 for a float64 tensor, float32 for every other."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
