"""Global pixel relations of a frame, and their distillation."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.device import outside_autocast, widened
from tasd.losses.norm import EPSILON, Form, Root, l2_norm

Projection = Literal["learned_from_map", "fixed"]


class GloRe(nn.Module):
    """Global reasoning unit (GloRe), the phi of Eq. 11.

    Chen et al., "Graph-Based Global Reasoning Networks", CVPR 2019.

    The pixels of a frame are projected to a few nodes, which exchange information by a graph
    convolution. The result is projected back to the pixels and added to them. (Our paper cites
    CenterNet for the unit, by mistake. The "relation filter module" of its section 3.3 belongs to
    another paper's instance branch and is left out.)

    projection: the weights of pixels in nodes. "learned_from_map", as published: a 1x1
        convolution of the map, B. "fixed", as in our paper's text: one matrix M (positions, nodes)
        for all frames. It needs ``positions``, the height x width of the maps, and fits no other.

    The unit ends with a BatchNorm. In training both networks of Eq. 11 normalise by the frames that
    they are given: with running statistics in one of them, equal networks would differ.
    """

    def __init__(
        self,
        channels: int,
        *,
        states: int = 256,
        nodes: int = 32,
        projection: Projection = "learned_from_map",
        positions: int | None = None,
    ) -> None:
        super().__init__()
        self.state = nn.Linear(channels, states)
        self.assignment: nn.Module
        if projection == "fixed":
            assert positions is not None, "a fixed projection needs the number of positions"
            self.assignment = FixedAssignment(positions, nodes)
        else:
            assert positions is None, "only a fixed projection has a number of positions"
            self.assignment = nn.Linear(channels, nodes)
        self.between_nodes = nn.Linear(nodes, nodes)
        self.between_states = nn.Linear(states, states, bias=False)
        self.extend = nn.Linear(states, channels, bias=False)
        self.norm = nn.BatchNorm1d(channels, eps=1e-4)

    def forward(
        self,
        frames: Float[Tensor, "frames channels height width"],
        *,
        own_statistics: bool = False,
    ) -> Float[Tensor, "frames channels height width"]:
        """Add to each pixel of the map its relation to all others.

        own_statistics: normalise by these frames in eval mode too, and leave the running
            statistics as they are.
        """
        with outside_autocast(frames):
            frames = widened(frames)
            pixels = _pixels(frames)
            assignment = self.assignment(pixels)
            nodes = self.state(pixels).mT @ assignment / pixels.shape[1]
            related = self.extend(assignment @ self.reason(nodes).mT)
            change = self._normalised(related.flatten(0, 1), own_statistics=own_statistics)
            return frames + change.view_as(pixels).mT.reshape(frames.shape)

    def _normalised(
        self, rows: Float[Tensor, "rows channels"], *, own_statistics: bool
    ) -> Float[Tensor, "rows channels"]:
        if not own_statistics or self.norm.training:
            normalised: Tensor = self.norm(rows)
            return normalised
        weight, bias, eps = self.norm.weight, self.norm.bias, self.norm.eps
        return functional.batch_norm(rows, None, None, weight, bias, training=True, eps=eps)

    def reason(
        self, nodes: Float[Tensor, "frames states nodes"]
    ) -> Float[Tensor, "frames states nodes"]:
        """Convolve the graph: over nodes with a residual, ReLU, then over states."""
        mixed = (self.between_nodes(nodes) + nodes).relu()
        between: Tensor = self.between_states(mixed.mT)
        return between.mT


class FixedAssignment(nn.Module):
    """The projection matrix M of section 3.3: learned, and the same for every frame."""

    def __init__(self, positions: int, nodes: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.empty(positions, nodes))
        nn.init.uniform_(self.matrix, -(positions**-0.5), positions**-0.5)

    def forward(
        self, pixels: Float[Tensor, "frames positions channels"]
    ) -> Float[Tensor, "frames positions nodes"]:
        """Return the matrix once for each frame."""
        assert pixels.shape[1] == len(self.matrix), "the map's size is not the matrix's"
        return self.matrix.expand(len(pixels), -1, -1)


class AdaptiveConvolution(nn.Module):
    """The f of Eq. 11: a 1x1 convolution of the student's relations, the identity at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pointwise = nn.Linear(channels, channels)
        nn.init.eye_(self.pointwise.weight)
        nn.init.zeros_(self.pointwise.bias)

    def forward(
        self, frames: Float[Tensor, "frames channels height width"]
    ) -> Float[Tensor, "frames channels height width"]:
        """Apply the same linear map of the channels at every pixel."""
        with outside_autocast(frames):
            pixels: Tensor = self.pointwise(_pixels(widened(frames)))
        return pixels.mT.reshape(frames.shape)


def relation_distillation(
    teacher: Float[Tensor, "frames channels height width"],
    student: Float[Tensor, "frames channels height width"],
    *,
    form: Form = "mean",
    root: Root = "pair",
    epsilon: float = EPSILON,
) -> Float[Tensor, ""]:
    """Compute L_PR from the teacher's phi(t_i) and the student's f(phi(s_i)), frame by frame.

    The default form takes the mean over a frame's elements, which Eq. 11 does not print; `norm`
    explains each form. The teacher is a constant. Eq. (11).
    """
    with outside_autocast(student):
        difference = widened(student) - widened(teacher.detach())
        squares = difference.square().sum((1, 2, 3))
    elements = student[0].numel()
    return l2_norm(squares, elements=elements, form=form, root=root, epsilon=epsilon)


@torch.no_grad()
def relation_share(
    related: Float[Tensor, "frames channels height width"],
    frames: Float[Tensor, "frames channels height width"],
) -> Float[Tensor, ""]:
    """Compute ||phi(A) - A|| / ||A||, the share that phi adds to the map, for the log.

    A phi that adds nothing makes Eq. 11 small as well; a shrinking share reveals it.
    """
    frames = widened(frames)
    added = widened(related) - frames
    share: Tensor = torch.linalg.vector_norm(added) / torch.linalg.vector_norm(frames)
    return share


def _pixels(frames: Tensor) -> Tensor:
    # A 1x1 convolution as a matrix product over pixels: channels_last maps need no copy, and CUDA
    # keeps float32, where its convolutions fall back to TF32 by default.
    return frames.flatten(2).mT
