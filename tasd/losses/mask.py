"""Attention masks, and the imitation of the teacher's feature map under them.

A mask is a softmax over one dimension's attention, times the length of that dimension, so that
its mean is 1. It is made of the sum of student's and teacher's attention: where either is large,
imitation counts for more. Masks are constants: no gradient passes through them.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tasd.device import outside_autocast, wide_dtype
from tasd.losses.attention import channel_attention, spatial_attention, temporal_attention
from tasd.losses.norm import EPSILON, Form, Root, l2_norm


@torch.no_grad()
def spatial_mask(
    student_maps: Float[Tensor, "pairs channels time height width"],
    teacher_maps: Float[Tensor, "pairs channels time height width"],
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "pairs height width"]:
    """Compute M^s, a softmax over the height x width positions of a pair. Eq. (6)."""
    total = spatial_attention(student_maps) + spatial_attention(teacher_maps)
    return _mask(total.flatten(1), temperature).view_as(total)


@torch.no_grad()
def temporal_mask(
    student_maps: Float[Tensor, "pairs channels time height width"],
    teacher_maps: Float[Tensor, "pairs channels time height width"],
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "pairs time"]:
    """Compute M^t, a softmax over the frames of a pair.

    Eq. 7 prints G^c in the teacher's term. Channels and frames cannot be added, so G^t is used.
    Eq. (7).
    """
    total = temporal_attention(student_maps) + temporal_attention(teacher_maps)
    return _mask(total, temperature)


@torch.no_grad()
def channel_mask(
    student_maps: Float[Tensor, "pairs channels time height width"],
    teacher_maps: Float[Tensor, "pairs channels time height width"],
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "pairs channels"]:
    """Compute M^c, a softmax over the channels of a pair. Eq. (8)."""
    total = channel_attention(student_maps) + channel_attention(teacher_maps)
    return _mask(total, temperature)


def masked_imitation(
    student_maps: Float[Tensor, "pairs channels time height width"],
    teacher_maps: Float[Tensor, "pairs channels time height width"],
    *,
    temperature: float = 1.0,
    form: Form = "mean",
    root: Root = "pair",
    epsilon: float = EPSILON,
) -> Float[Tensor, ""]:
    """Compute L_AM, the distance of the student's map from the teacher's, weighted by the masks.

    Eq. 10 prints no sum, which a loss needs. The default form is not the bare root of a sum;
    `norm` explains each form. The teacher is a constant. Eq. (10).
    """
    maps = student_maps, teacher_maps
    squares: Tensor = _MaskedSquares.apply(  # type: ignore[no-untyped-call]
        *maps,
        spatial_mask(*maps, temperature=temperature)[:, None, None],
        temporal_mask(*maps, temperature=temperature)[:, None, :, None, None],
        channel_mask(*maps, temperature=temperature)[:, :, None, None, None],
    )
    elements = student_maps[0].numel()
    return l2_norm(squares, elements=elements, form=form, root=root, epsilon=epsilon)


def _mask(attention: Tensor, temperature: float) -> Tensor:
    with outside_autocast(attention):
        return attention.shape[1] * (attention / temperature).softmax(1)


class _MaskedSquares(torch.autograd.Function):
    """Each pair's sum of squared differences under three masks; only the student gets a gradient.

    Plain autograd would keep the difference for the backward pass, and would there store the
    product of the masks at the size of the maps. Here forward and backward each work in place on
    one tensor of that size, and only the maps are kept, which stay in memory anyway.
    """

    @staticmethod
    def forward(
        ctx: Any, student: Tensor, teacher: Tensor, space: Tensor, time: Tensor, channel: Tensor
    ) -> Tensor:
        ctx.save_for_backward(student, teacher, space, time, channel)
        return (
            _difference(student, teacher)
            .square_()
            .mul_(space)
            .sum((3, 4), keepdim=True)
            .mul_(time)
            .sum(2, keepdim=True)
            .mul_(channel)
            .sum((1, 2, 3, 4))
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        student, teacher, space, time, channel = ctx.saved_tensors
        factor = 2 * gradients[0][:, None, None, None, None] * channel
        gradient = _difference(student, teacher).mul_(space).mul_(time).mul_(factor)
        return gradient.to(student.dtype), None, None, None, None


def _difference(student: Tensor, teacher: Tensor) -> Tensor:
    return student.to(wide_dtype(student), copy=True).sub_(teacher)
