"""Keys and values of tuples of frames, kept and compared as the parts that they are sums of.

The key of a tuple is W [a; b] = W1 a + W2 b before its norm, and so is its value. Eight frames
have 56 triples, but only 24 parts: one for each frame and place. Products of tuples are sums of
products of parts, so that videos are compared in a fifth of the multiplications of all tuples.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import Shots, frame_tuples


@dataclass(frozen=True)
class TupleParts:
    """Keys and values of the tuples of one size, of some videos.

    keys, values: their parts, the frames of the first place first. A tuple's value is the sum of
        its parts; its key, up to a term that has no effect, is that times its scale.
    scales: 1 / the standard deviation that the norm divides a tuple's key by.
    shifts: the product of a tuple's key and the norm's bias.
    squares: the squared length of each tuple's value.
    """

    keys: Float[Tensor, "*videos parts width"]
    values: Float[Tensor, "*videos parts width"]
    scales: Float[Tensor, "*videos tuples"]
    shifts: Float[Tensor, "*videos tuples"]
    squares: Float[Tensor, "*videos tuples"]

    def packed(self) -> Float[Tensor, "*videos size"]:
        """Return one vector a video."""
        rows = (self.keys.flatten(-2), self.values.flatten(-2))
        return torch.cat([*rows, self.scales, self.shifts, self.squares], dim=-1)


def packed_size(frames: int, cardinality: int, *, width: int) -> int:
    """Return the length of `TupleParts.packed` for videos of ``frames`` frames."""
    return 2 * cardinality * frames * width + 3 * math.comb(frames, cardinality)


def frames_packed(size: int, cardinalities: Sequence[int], *, width: int) -> int:
    """Return the number of frames of videos whose parts of all cardinalities take ``size``."""
    for frames in itertools.count(max(cardinalities)):
        total = sum(packed_size(frames, each, width=width) for each in cardinalities)
        if total >= size:
            break
    assert total == size, f"no number of frames has parts of size {size}"
    return frames


def unpacked(
    packed: Float[Tensor, "*videos size"], *, frames: int, cardinality: int, width: int
) -> TupleParts:
    """Return the parts that `TupleParts.packed` packed."""
    parts, tuples = cardinality * frames, math.comb(frames, cardinality)
    sizes = [parts * width, parts * width, tuples, tuples, tuples]
    keys, values, *others = torch.split(packed, sizes, dim=-1)
    shape = (parts, width)
    return TupleParts(keys.unflatten(-1, shape), values.unflatten(-1, shape), *others)


def tuple_parts(
    frames: Float[Tensor, "videos time channels"],
    *,
    key: nn.Linear,
    value: nn.Linear,
    norm: nn.LayerNorm,
) -> TupleParts:
    """Compute the parts of all tuples; the layers read the concatenated frames of one."""
    time, channels = frames.shape[1:]
    chosen = _members(time, key.in_features // channels, like=frames)
    keys = linear_of_places(key, frames)
    keys = keys - keys.mean(dim=2, keepdim=True)  # so that sums of parts have mean 0 as well
    whole = _sums(keys, chosen)
    scales = (whole.square().mean(dim=2) + norm.eps).rsqrt()
    values = linear_of_places(value, frames)
    return TupleParts(
        keys=keys * norm.weight,
        values=values,
        scales=scales,
        shifts=(whole @ (norm.weight * norm.bias)) * scales,
        squares=_sums(values, chosen).square().sum(dim=2),
    )


def linear_of_places(
    linear: nn.Linear, frames: Float[Tensor, "videos time channels"]
) -> Float[Tensor, "videos parts width"]:
    """Apply the weights of each place to every frame, the first place's with the bias."""
    first, *others = linear.weight.split(frames.shape[2], dim=1)
    parts = [functional.linear(frames, first, linear.bias)]
    return torch.cat([*parts, *(functional.linear(frames, weight) for weight in others)], dim=1)


def tuple_distances(
    query: TupleParts, support: TupleParts, shots: Shots, *, frames: int
) -> Float[Tensor, "episodes query way"]:
    """Compute the squared distance of a query's values to the prototypes that its keys select.

    Each query tuple has its own prototype in a class: the values of all tuples of all its shots,
    weighted by a softmax over the products of the keys. Mean over the query's tuples. The squares
    of v - sum_t a_t v_t are multiplied out, so that no prototype is formed.
    """
    episodes, queries, parts, width = query.keys.shape
    member = _membership(frames, parts // frames, like=query.keys)
    # (episodes, support, query * tuples, tuples or parts of the support)
    match = _products(query.keys, support.keys, member) @ member.mT
    match = match * query.scales.flatten(1)[:, None, :, None] * support.scales[:, :, None]
    match = shots.of((match + support.shifts[:, :, None]) / math.sqrt(width))
    if support.keys.shape[1] != shots.given[0].numel():  # unequal shots
        match = match.masked_fill(~shots.given[..., None, None], -math.inf)
    match = match.transpose(2, 3)  # (episodes, way, query * tuples, shots, tuples)
    weights = match.flatten(3).softmax(dim=3).reshape(match.shape) @ member
    weights = weights.flatten(3)  # of the parts of all shots of the class
    values = shots.of(support.values).flatten(2, 3)
    cross = shots.of(_products(query.values, support.values, member)).transpose(2, 3).flatten(3)
    gaps = torch.baddbmm(
        cross.flatten(0, 1), weights.flatten(0, 1), (values @ values.mT).flatten(0, 1), beta=-2
    )
    squares = (weights * gaps.reshape(weights.shape)).sum(dim=3) + query.squares.flatten(1)[:, None]
    return squares.reshape(episodes, squares.shape[1], queries, -1).mean(dim=3).mT


def _products(query: Tensor, support: Tensor, member: Tensor) -> Tensor:
    """Multiply tuples by parts: (episodes, support, query * tuples, parts)."""
    episodes, queries, parts = query.shape[:3]
    products = query.flatten(1, 2) @ support.flatten(1, 2).mT
    of_tuples = member @ products.reshape(episodes, queries, parts, -1)
    return of_tuples.reshape(episodes, -1, support.shape[1], parts).transpose(1, 2)


def _members(time: int, cardinality: int, *, like: Tensor) -> Tensor:
    """Number the parts of each tuple: (tuples, cardinality)."""
    places = torch.arange(cardinality, device=like.device)
    return frame_tuples(time, cardinality, like=like) + time * places


def _membership(time: int, cardinality: int, *, like: Tensor) -> Tensor:
    """Mark the parts of each tuple by 1: (tuples, parts)."""
    members = _members(time, cardinality, like=like)
    return functional.one_hot(members, time * cardinality).sum(dim=1).to(like.dtype)


def _sums(parts: Tensor, members: Tensor) -> Tensor:
    """Add the parts of each tuple: (videos, tuples, width)."""
    first, *others = members.unbind(dim=1)
    total = parts[:, first]
    for chosen in others:
        total = total + parts[:, chosen]
    return total
