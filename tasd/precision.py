"""Which precision a device computes fastest in."""

from typing import Literal

import torch

Precision = Literal["bf16", "float32"]
Choice = Literal["auto", "bf16", "float32"]


def fitting(choice: Choice, device: torch.device) -> Precision:
    """``choice``, or for "auto" what suits ``device``.

    bf16 on GPUs and on processors with 512-bit vectors. Others only imitate bf16 (measured on one
    with AVX2: a step of a ResNet-18 took 13 times as long as in float32).
    """
    if choice != "auto":
        return choice
    return "bf16" if device.type == "cuda" or _wide_vectors() else "float32"


def without_imitation(precision: Choice, device: torch.device) -> Precision:
    """``precision``, but float32 where ``device`` would only imitate bf16."""
    return "float32" if precision == "float32" else fitting("auto", device)


def _wide_vectors() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
