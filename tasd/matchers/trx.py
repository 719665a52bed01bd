"""TRX: the tuples of a query's frames are matched by attention with those of each class."""

import itertools
import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import Shots, frame_tuples, shots_by_class
from tasd.matchers.attention import PairedPositions
from tasd.matchers.base import Cardinalities, Matcher, Rate, Width
from tasd.types import Features, Scores, Task


def linear_of_tuples(
    linear: nn.Linear,
    frames: Float[Tensor, "videos time channels"],
    tuples: Int64[Tensor, "tuples cardinality"],
) -> Float[Tensor, "videos tuples width"]:
    """Apply ``linear`` to the concatenated frames of every tuple.

    W [a; b] = W1 a + W2 b: each frame is multiplied once for each place that it can take in a
    tuple, not once for each tuple that it is in.
    """
    channels = frames.shape[2]
    total: Tensor = linear.bias
    for place, chosen in enumerate(tuples.unbind(dim=1)):
        weight = linear.weight[:, place * channels : (place + 1) * channels]
        total = total + functional.linear(frames, weight)[:, chosen]
    return total


def tuple_counts(total: int, cardinalities: tuple[int, ...]) -> list[int]:
    """Return the number of tuples of each cardinality, given that of all, ``total``."""
    for time in itertools.count(max(cardinalities)):
        counts = [math.comb(time, cardinality) for cardinality in cardinalities]
        if sum(counts) >= total:
            break
    assert sum(counts) == total, f"no number of frames has {total} tuples"
    return counts


class TupleAttention(nn.Module):
    """A cross-transformer over the tuples of one cardinality."""

    def __init__(self, channels: int, *, cardinality: int, width: int, dropout: float) -> None:
        super().__init__()
        self.cardinality = cardinality
        self.positions = PairedPositions(channels, dropout=dropout)
        self.key = nn.Linear(cardinality * channels, width)
        self.value = nn.Linear(cardinality * channels, width)
        self.norm_key = nn.LayerNorm(width)

    def forward(
        self, frames: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos tuples keys_and_values"]:
        """Compute key and value of every tuple, side by side."""
        assert frames.shape[1] >= self.cardinality, "a video has fewer frames than a tuple"
        tuples = frame_tuples(frames.shape[1], self.cardinality, like=frames)
        placed = self.positions(frames)
        keys = self.norm_key(linear_of_tuples(self.key, placed, tuples))
        return torch.cat([keys, linear_of_tuples(self.value, placed, tuples)], dim=2)


def cross_distances(
    query: Float[Tensor, "episodes query tuples keys_and_values"],
    support: Float[Tensor, "episodes support tuples keys_and_values"],
    shots: Shots,
) -> Float[Tensor, "episodes query way"]:
    """Compute the squared distance of a query's values to the prototypes that its keys select.

    Each query tuple has its own prototype in a class: the values of all tuples of all its shots,
    weighted by a softmax over the products of the keys. Mean over the query's tuples.
    """
    tuples = query.shape[2]
    query_keys, query_values = query.flatten(1, 2).chunk(2, dim=2)
    distances = []
    # Class by class: the prototypes of all at once would be the largest tensor by far.
    for tuples_of_shots, given in zip(
        shots.of(support).unbind(1), shots.given.unbind(1), strict=True
    ):
        keys, values = tuples_of_shots.flatten(1, 2).chunk(2, dim=2)
        match = query_keys @ keys.mT / math.sqrt(keys.shape[2])
        absent = ~given.repeat_interleave(tuples, dim=1)[:, None]
        prototypes = match.masked_fill(absent, -math.inf).softmax(dim=2) @ values
        distances.append((query_values - prototypes).square().sum(dim=2))
    return torch.stack(distances, dim=2).reshape(*query.shape[:3], -1).mean(dim=2)


class TRX(Matcher):
    """Temporal-relational cross-transformer (TRX).

    Perrett, Masullo, Burghardt, Mirmehdi, Damen: "Temporal-Relational CrossTransformers for
    Few-Shot Action Recognition", CVPR 2021.

    An action is compared by ordered pairs and triples of frames. Every such tuple of the query
    attends to the tuples of all shots of a class at once, and its distance to the class is that to
    the prototype which this attention makes of them.

    cardinalities: sizes of the tuples; the scores of several are averaged.
    width: number of channels of keys and values.
    dropout: its rate after the positions, in training.

    Against the published code: the layer norm of the values, which it stores and never uses, is
    left out; a frame is projected once for each place in a tuple instead of once for each tuple,
    the same sum in another order; any number of frames and unequal shots.
    """

    def __init__(
        self,
        channels: int,
        *,
        cardinalities: Cardinalities = (2, 3),
        width: Width = 1152,
        dropout: Rate = 0.1,
    ) -> None:
        super().__init__(channels)
        self.cardinalities, self.fewest_frames = cardinalities, max(cardinalities)
        self.attentions = nn.ModuleList(
            TupleAttention(channels, cardinality=cardinality, width=width, dropout=dropout)
            for cardinality in cardinalities
        )

    def prepare(self, features: Features) -> Features:
        """Compute keys and values of all tuples, one cardinality after the other."""
        return Features(torch.cat([each(features.frames) for each in self.attentions], 1))

    def compare(self, task: Task) -> Scores:
        """Score by minus the distance to the query's own prototypes, mean over cardinalities."""
        shots = shots_by_class(task.support_labels, way=task.way)
        counts = tuple_counts(task.query.shape[2], self.cardinalities)
        queries, supports = (torch.split(x, counts, dim=2) for x in (task.query, task.support))
        sizes = zip(queries, supports, strict=True)
        return Scores(-torch.stack([cross_distances(*size, shots) for size in sizes]).mean(dim=0))
