"""TRX: the tuples of a query's frames are matched by attention with those of each class."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import shots_by_class
from tasd.matchers.attention import PairedPositions
from tasd.matchers.base import Cardinalities, Matcher, Rate, Width
from tasd.matchers.trx_tuples import (
    TupleParts,
    frames_packed,
    packed_size,
    tuple_distances,
    tuple_parts,
    unpacked,
)
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
    ) -> Float[Tensor, "videos size"]:
        """Compute keys and values of all tuples, packed."""
        assert frames.shape[1] >= self.cardinality, "a video has fewer frames than a tuple"
        placed = self.positions(frames)
        parts = tuple_parts(placed, key=self.key, value=self.value, norm=self.norm_key)
        return parts.packed()


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
    left out; keys and values of tuples are kept as sums of their frames' and distances are
    multiplied out, the same sums in another order (`tasd.matchers.trx_tuples`); any number of
    frames and unequal shots.
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
        self.width = width
        self.attentions = nn.ModuleList(
            TupleAttention(channels, cardinality=cardinality, width=width, dropout=dropout)
            for cardinality in cardinalities
        )

    def prepare(self, features: Features) -> Features:
        """Compute keys and values of all tuples, one cardinality after the other, in one row."""
        parts = [attention(features.frames) for attention in self.attentions]
        return Features(torch.cat(parts, dim=1)[:, None])

    def compare(self, task: Task) -> Scores:
        """Score by minus the distance to the query's own prototypes, mean over cardinalities."""
        shots = shots_by_class(task.support_labels, way=task.way)
        size = task.query.shape[3]
        frames = frames_packed(size, self.cardinalities, width=self.width)
        sides = zip(
            self._parts(task.query[:, :, 0], frames),
            self._parts(task.support[:, :, 0], frames),
            strict=True,
        )
        distances = [tuple_distances(*side, shots, frames=frames) for side in sides]
        return Scores(-torch.stack(distances).mean(dim=0))

    def packed_size(self, frames: int) -> int:
        """Return the length of a prepared video of ``frames`` frames."""
        return sum(packed_size(frames, each, width=self.width) for each in self.cardinalities)

    def _parts(
        self, packed: Float[Tensor, "episodes videos size"], frames: int
    ) -> list[TupleParts]:
        """Return the parts of each cardinality."""
        sizes = [packed_size(frames, each, width=self.width) for each in self.cardinalities]
        return [
            unpacked(part, frames=frames, cardinality=cardinality, width=self.width)
            for part, cardinality in zip(
                torch.split(packed, sizes, dim=2), self.cardinalities, strict=True
            )
        ]
