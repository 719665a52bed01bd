"""Attention maps of a video along space, channels and time, and their transfer.

The feature map A of a video is (channels, time, height, width); an element's absolute value says
how much it matters. After Zhang and Ma, "Structured Knowledge Distillation for Accurate and
Efficient Object Detection" (TPAMI 2023), with time as the third dimension.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from tasd.device import outside_autocast, wide_dtype
from tasd.losses.norm import EPSILON, Form, Root, l2_norm


def channel_attention(
    maps: Float[Tensor, "videos channels time height width"],
) -> Float[Tensor, "videos channels"]:
    """Average absolute values over time, height and width. Eq. (3)."""
    return _mean_absolute(maps, over=(2, 3, 4))


def spatial_attention(
    maps: Float[Tensor, "videos channels time height width"],
) -> Float[Tensor, "videos height width"]:
    """Average absolute values over channels and time. Eq. (4)."""
    return _mean_absolute(maps, over=(1, 2))


def temporal_attention(
    maps: Float[Tensor, "videos channels time height width"],
) -> Float[Tensor, "videos time"]:
    """Average absolute values over channels, height and width. Eq. (5)."""
    return _mean_absolute(maps, over=(1, 3, 4))


def attention_transfer(
    student_maps: Float[Tensor, "pairs channels time height width"],
    teacher_maps: Float[Tensor, "pairs channels time height width"],
    *,
    form: Form = "mean",
    root: Root = "pair",
    epsilon: float = EPSILON,
) -> Float[Tensor, ""]:
    """Compute L_AT, the distance of two networks' attention along space, channels and time.

    The default form is not the printed one of Eq. 9; `norm` explains each form. The teacher is a
    constant. Eq. (9).
    """
    teacher_maps = teacher_maps.detach()
    total = torch.zeros((), device=student_maps.device, dtype=wide_dtype(student_maps))
    for attention in (spatial_attention, channel_attention, temporal_attention):
        squares = (attention(student_maps) - attention(teacher_maps)).square().flatten(1)
        total = total + l2_norm(
            squares.sum(1), elements=squares.shape[1], form=form, root=root, epsilon=epsilon
        )
    return total


def _mean_absolute(maps: Tensor, *, over: tuple[int, ...]) -> Tensor:
    # Widening inside the mean keeps no float32 copy of half-precision maps for the backward pass.
    with outside_autocast(maps):
        return maps.abs().mean(over, dtype=wide_dtype(maps))
