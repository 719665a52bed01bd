"""STRM: attention among patches and a mixer over frames, before TRX compares tuples."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import TINY, Shots, frame_tuples, shots_by_class
from tasd.matchers.attention import PairedPositions
from tasd.matchers.base import (
    Cardinalities,
    Matcher,
    NotNegative,
    Rate,
    Width,
    prepared,
)
from tasd.matchers.trx import TRX, linear_of_tuples
from tasd.types import Features, Scores, Task

PATCHES = 4  # a map is pooled to 4 x 4 patches


class PatchEnrichment(nn.Module):
    """Attention among the patches of a frame, then an MLP, then their mean."""

    def __init__(self, channels: int, *, dropout: float) -> None:
        super().__init__()
        self.positions = PairedPositions(channels, dropout=dropout)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels // 2),
            nn.ReLU(),
            nn.Linear(channels // 2, channels // 2),
            nn.ReLU(),
            nn.Linear(channels // 2, channels),
        )

    def forward(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos time channels"]:
        """Compute one enriched feature a frame. The attention is not scaled by the width."""
        patches = functional.adaptive_max_pool2d(maps.transpose(1, 2).flatten(0, 1), PATCHES)
        tokens = self.positions(patches.flatten(2).mT)
        attended = functional.scaled_dot_product_attention(
            self.query(tokens), self.key(tokens), self.value(tokens), scale=1.0
        )
        related = self.gamma * attended + tokens
        enriched: Tensor = related + self.mlp(related)
        return enriched.mean(dim=1).reshape(maps.shape[0], maps.shape[2], maps.shape[1])


class FrameMixer(nn.Module):
    """An MLP over the frames of a video, then one over the channels, each with its residual."""

    def __init__(self, channels: int, *, frames: int, dropout: float) -> None:
        super().__init__()
        self.positions = PairedPositions(channels, dropout=dropout)
        self.over_time = nn.Sequential(
            nn.Linear(frames, frames), nn.ReLU(), nn.Linear(frames, frames)
        )
        self.over_channels = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels)
        )

    def forward(
        self, frames: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos time channels"]:
        """Mix the frames of each video over time, then over channels."""
        placed = self.positions(frames)
        mixed = placed + self.over_time(placed.mT).mT
        enriched: Tensor = mixed + self.over_channels(mixed)
        return enriched


class TupleEmbedding(nn.Module):
    """Embedding of the tuples of one cardinality for the second score: ReLU(Linear)."""

    def __init__(self, channels: int, *, cardinality: int, dropout: float) -> None:
        super().__init__()
        self.cardinality = cardinality
        self.embed = nn.Linear(cardinality * channels, channels // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, frames: Float[Tensor, "videos time channels"]
    ) -> Float[Tensor, "videos tuples width"]:
        """Embed every tuple."""
        tuples = frame_tuples(frames.shape[1], self.cardinality, like=frames)
        return functional.relu(linear_of_tuples(self.embed, self.dropout(frames), tuples))


def nearest_tuple_distances(
    query: Float[Tensor, "episodes query tuples width"],
    support: Float[Tensor, "episodes support tuples width"],
    shots: Shots,
) -> Float[Tensor, "episodes query way"]:
    """Average the distances of a query's tuples to their nearest among all of a class."""
    tuples = query.shape[2]
    mine, others = query.flatten(1, 2), support.flatten(1, 2)
    lengths = others.square().sum(dim=2)[:, None]
    squares = torch.baddbmm(lengths, mine, others.mT, alpha=-2)
    # (episodes, query * tuples, support): the nearest tuple of each support video.
    nearest = squares.reshape(*squares.shape[:2], -1, tuples).amin(dim=3)
    nearest = nearest + mine.square().sum(dim=2, keepdim=True)
    nearest = nearest.clamp(min=TINY**2).sqrt().mT
    absent = ~shots.given[..., None]
    of_classes = shots.of(nearest).masked_fill(absent, torch.inf).amin(dim=2)
    return of_classes.mT.reshape(*query.shape[:3], -1).mean(dim=2)


class STRM(Matcher):
    """Spatio-temporal relation modelling (STRM).

    Thatipelli, Narayan, Khan, Anwer, Khan, Ghanem: "Spatio-temporal Relation Modeling for
    Few-shot Action Recognition", CVPR 2022.

    The patches of each frame attend to each other, then the frames are mixed over time, before
    TRX compares their tuples. A second score, the distance of the tuples before the mixing to
    their nearest in the class, makes the features before the mixing discriminative as well.

    cardinalities, width, dropout: as for TRX.
    post_patch: weight of the second score in the sum at test. In training TRX's score stands
    alone, and the second one is trained by the loss ``post_patch``.
    frames: number of frames of a video; the mixer's weights depend on it.

    Against the published code: the embeddings of the second score are part of the module (there
    they lie in a plain list: never trained, never saved, their dropout on at test); a frame is
    projected once for each place in a tuple; unequal shots.
    """

    needs_maps = True
    loss_names = ("post_patch",)

    def __init__(
        self,
        channels: int,
        *,
        cardinalities: Cardinalities = (2,),
        width: Width = 1152,
        dropout: Rate = 0.1,
        post_patch: NotNegative = 0.1,
        frames: int = 8,
    ) -> None:
        super().__init__(channels)
        self.frames, self.post_patch = frames, post_patch
        self.fewest_frames = max(cardinalities)
        self.patches = PatchEnrichment(channels, dropout=dropout)
        self.mixer = FrameMixer(channels, frames=frames, dropout=dropout)
        self.trx = TRX(channels, cardinalities=cardinalities, width=width, dropout=dropout)
        self.embeddings = nn.ModuleList(
            TupleEmbedding(channels, cardinality=cardinality, dropout=dropout)
            for cardinality in cardinalities
        )

    def match(self, task: Task) -> Scores:
        """Score the task; in training by TRX alone, with the second score as a loss."""
        ready = prepared(self, task)
        first, second = self.trx_scores(ready), self.post_patch_scores(ready)
        logits = first if self.training else first + self.post_patch * second
        if task.query_labels is None:
            return Scores(logits)
        loss = functional.cross_entropy(second.flatten(0, 1), task.query_labels.flatten())
        return Scores(logits, {"post_patch": loss})

    def prepare(self, features: Features) -> Features:
        """Compute what TRX compares and the embedding of every tuple, in one row."""
        assert features.maps is not None, "STRM reads maps"
        frames = self.patches(features.maps)
        parts = self.trx.prepare(Features(self.mixer(frames))).frames
        embedded = torch.cat([embed(frames) for embed in self.embeddings], dim=1)
        return Features(torch.cat([parts, embedded.flatten(1)[:, None]], dim=2))

    def compare(self, task: Task) -> Scores:
        """Add TRX's scores and the weighted second ones."""
        return Scores(self.trx_scores(task) + self.post_patch * self.post_patch_scores(task))

    def trx_scores(self, task: Task) -> Float[Tensor, "episodes query way"]:
        """Compute the scores of TRX on the mixed frames."""
        own = self.trx.packed_size(self.frames)
        return self.trx.compare(
            replace(task, support=task.support[..., :own], query=task.query[..., :own])
        ).logits

    def post_patch_scores(self, task: Task) -> Float[Tensor, "episodes query way"]:
        """Compute minus the distance to the nearest tuples, averaged over the cardinalities."""
        own = self.trx.packed_size(self.frames)
        counts = [math.comb(self.frames, each) for each in self.trx.cardinalities]
        shots = shots_by_class(task.support_labels, way=task.way)
        queries, supports = (
            torch.split(x[:, :, 0, own:].unflatten(2, (sum(counts), -1)), counts, dim=2)
            for x in (task.query, task.support)
        )
        sizes = zip(queries, supports, strict=True)
        distances = [nearest_tuple_distances(*size, shots) for size in sizes]
        return -torch.stack(distances).mean(dim=0)
