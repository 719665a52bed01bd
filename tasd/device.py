"""The device to compute on, and the precision of the numbers there."""

from typing import Literal

import torch
from torch import Tensor

from tasd.errors import UserError

Precision = Literal["bf16", "float32"]
PrecisionChoice = Literal["auto", "bf16", "float32"]


def pick_device(device: str, *, local_rank: int = 0) -> torch.device:
    """Return the named device; "auto" is a GPU where there is one. Raises `UserError`.

    local_rank: the index of the GPU where the name has none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UserError(f"--device {device}: use auto, cpu, cuda or cuda:N") from None
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise UserError(
                f"--device {device}: no CUDA device is usable here (see tasd doctor); use "
                "--device cpu"
            )
        index = local_rank if chosen.index is None else chosen.index
        count = torch.cuda.device_count()
        if index >= count:
            raise UserError(
                f"--device {device}: there is no GPU {index}, there are {count} (counted from 0)"
            )
        return torch.device("cuda", index)
    if chosen.type != "cpu":
        raise UserError(f"--device {device}: use auto, cpu, cuda or cuda:N")
    return chosen


def resolve_precision(choice: PrecisionChoice, device: torch.device) -> Precision:
    """Return ``choice``, or for "auto" the precision that suits ``device``.

    bf16 on GPUs and on processors with 512-bit vectors. Others only imitate bf16 (measured on one
    with AVX2: a step of a ResNet-18 took 13 times as long as in float32).
    """
    if choice != "auto":
        return choice
    return "bf16" if device.type == "cuda" or _wide_vectors() else "float32"


def native_precision(precision: PrecisionChoice, device: torch.device) -> Precision:
    """Return ``precision``, but float32 where ``device`` would only imitate bf16."""
    return "float32" if precision == "float32" else resolve_precision("auto", device)


def _wide_vectors() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def outside_autocast(tensor: Tensor) -> torch.autocast:
    """Return a context in which autocast leaves operations on the tensor's device alone."""
    return torch.autocast(tensor.device.type, enabled=False)


def widened(tensor: Tensor) -> Tensor:
    """Return the tensor in float32; float64 stays, so that exact tests are possible."""
    return tensor.to(wide_dtype(tensor))


def wide_dtype(tensor: Tensor) -> torch.dtype:
    """Return float64 for a float64 tensor, float32 for every other."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
