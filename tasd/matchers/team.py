"""TEAM: a fixed number of pattern tokens for each video, compared token by token."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import TINY, class_means
from tasd.matchers.attention import PairedPositions
from tasd.matchers.base import Matcher, Rate, Width, prepared
from tasd.types import Features, Scores, Task

SCALE_HEADS = 8  # the scale is that of eight heads, though there is one


@dataclass(frozen=True)
class Tokens:
    """Tokens of videos or classes: patterns that are present, and patterns that are absent."""

    positive: Float[Tensor, "episodes videos patterns channels"]
    negative: Float[Tensor, "episodes videos patterns channels"]


@dataclass(frozen=True)
class Distances:
    """The two parts of the distance between queries and classes."""

    positive: Float[Tensor, "episodes query way"]
    negative: Float[Tensor, "episodes query way"]


class TEAM(Matcher):
    """Temporal alignment-free matching (TEAM).

    Lee, Moon, Seong, Heo: "Temporal Alignment-Free Video Matching for Few-shot Action
    Recognition", CVPR 2025.

    Learned pattern tokens attend to the frames of a video, so that videos of any length are
    compared token by token, without aligning frames. The tokens of a class are then adapted to the
    episode: what it shares with each other class is taken out.

    patterns: number of the learned tokens.
    dropout: its rate after the positions, in training.

    In training the scores are minus the positive distance, and the loss ``negative`` is the
    cross-entropy of minus the negative distance: the published loss is their sum. At test the
    scores are minus the sum of both distances.

    Against the published code: any number of classes (a single one has no others to be told
    apart from, and no negative distance) and unequal shots. As in the code: attention has one head
    without projections and the scale of eight; the farthest of the other classes makes the
    negative distance. The variants of the code that are not TEAM are left out.
    """

    task_level = True
    loss_names = ("negative",)

    def __init__(self, channels: int, *, patterns: Width = 16, dropout: Rate = 0.1) -> None:
        super().__init__(channels)
        self.patterns = nn.Parameter(torch.randn(patterns, channels))
        self.positions = PairedPositions(channels, dropout=dropout)
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels)
        )

    def match(self, task: Task) -> Scores:
        """Score the task; in training by the positive distance, with the negative one as a loss."""
        distances = self.distances(prepared(self, task))
        both = -(distances.positive + distances.negative)
        logits = -distances.positive if self.training else both
        if task.query_labels is None:
            return Scores(logits)
        negative = -distances.negative.flatten(0, 1)
        loss = functional.cross_entropy(negative, task.query_labels.flatten())
        return Scores(logits, {"negative": loss})

    def prepare(self, features: Features) -> Features:
        """Compute positive and negative tokens; the frames follow, to be averaged over shots."""
        tokens = self.tokens(self.attend(features.frames)[None])
        return Features(torch.cat([tokens.positive[0], tokens.negative[0], features.frames], dim=1))

    def compare(self, task: Task) -> Scores:
        """Score by minus the sum of both distances."""
        distances = self.distances(task)
        return Scores(-(distances.positive + distances.negative))

    def distances(self, task: Task) -> Distances:
        """Compute both distances of a task of prepared features."""
        count = len(self.patterns)
        query = Tokens(task.query[:, :, :count], task.query[:, :, count : 2 * count])
        frames = class_means(task.support[:, :, 2 * count :], task.support_labels, way=task.way)
        attended = self.attend(frames)
        classes = self.discriminative(attended, self.similarities(attended))
        return Distances(
            token_distances(query.positive, classes.positive), negative_distances(query, classes)
        )

    def keys(
        self, frames: Float[Tensor, "*videos time channels"]
    ) -> Float[Tensor, "*videos time channels"]:
        """Compute what the patterns attend to and read: frames with positions, normalised."""
        keys: Tensor = self.norm(self.positions(frames))
        return keys

    def attention(
        self, keys: Float[Tensor, "*videos time channels"]
    ) -> Float[Tensor, "*videos patterns time"]:
        """Compute the share of each frame in each pattern."""
        scale = math.sqrt(self.channels / SCALE_HEADS)
        products: Tensor = self.norm(self.patterns) @ keys.mT
        return (products / scale).softmax(dim=-1)

    def attend(
        self, frames: Float[Tensor, "*videos time channels"]
    ) -> Float[Tensor, "*videos patterns channels"]:
        """Compute what each pattern reads from the frames."""
        keys = self.keys(frames)
        return self.attention(keys) @ keys

    def tokens(self, attended: Float[Tensor, "episodes videos patterns channels"]) -> Tokens:
        """Compute the tokens of videos alone: pattern plus and minus what it read."""
        own = self.first(attended)
        return Tokens(
            self._activate(self.patterns + attended, self._hidden(own)),
            self._activate(self.patterns - attended, self._hidden(-own)),
        )

    def similarities(
        self, attended: Float[Tensor, "episodes way patterns channels"]
    ) -> Float[Tensor, "2 episodes way way patterns"]:
        """Compute the cosines of each class's tokens with those of each, positive then negative."""
        own = self.tokens(attended)
        stacked = torch.stack([directions(own.positive), directions(own.negative)])
        return torch.einsum("sewpc,seopc->sewop", stacked, stacked)

    def discriminative(
        self,
        attended: Float[Tensor, "episodes way patterns channels"],
        similarities: Float[Tensor, "2 episodes way way patterns"],
    ) -> Tokens:
        """Take out of each class's tokens what it shares with each other class, on average.

        The first layer of the network is linear in what the two classes read, so that it is
        computed once a class and not once a pair of classes.
        """
        way = attended.shape[1]
        if way == 1:  # nothing to be told apart from
            return self.tokens(attended)
        one, other = _pairs(way, attended.device)
        first = self.first(attended)
        positive, negative = similarities[:, :, one, other][..., None]
        return Tokens(
            self._adapted(attended, first, positive, one, other),
            self._adapted(-attended, -first, negative, one, other),
        )

    def first(self, read: Float[Tensor, "*any channels"]) -> Float[Tensor, "*any channels"]:
        """Apply the first layer of the network without its bias."""
        layer = self.mlp[0]
        assert isinstance(layer, nn.Linear)
        return functional.linear(read, layer.weight)

    def _adapted(
        self,
        own: Float[Tensor, "episodes way patterns channels"],
        first: Float[Tensor, "episodes way patterns channels"],
        similarity: Float[Tensor, "episodes pairs patterns 1"],
        one: Int64[Tensor, " pairs"],
        other: Int64[Tensor, " pairs"],
    ) -> Float[Tensor, "episodes way patterns channels"]:
        """Average the tokens of each class, each adapted to one other class."""

        def apart(read: Tensor) -> Tensor:
            return read[:, one].lerp(read[:, other], -similarity)

        found = self._activate(self.patterns + apart(own), self._hidden(apart(first)))
        way = own.shape[1]
        mean: Tensor = found.unflatten(1, (way, way - 1)).mean(dim=2)
        return mean

    def _hidden(self, first: Tensor) -> Tensor:
        """Compute the first layer of patterns and what they read, from that of the latter."""
        patterns: Tensor = self.mlp[0](self.patterns)
        return patterns + first

    def _activate(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """Add the network's answer to the tokens; hidden: its first layer, not yet activated."""
        answer: Tensor = self.mlp[2](self.mlp[1](hidden))
        return functional.relu(tokens + answer)


def _pairs(
    way: int, device: torch.device
) -> tuple[Int64[Tensor, " pairs"], Int64[Tensor, " pairs"]]:
    """Return all ordered pairs of two classes: the one, and the other; class by class."""
    pairs = torch.arange(way * (way - 1), device=device)
    one, other = pairs // (way - 1), pairs % (way - 1)
    return one, other + (other >= one)


def directions(tokens: Float[Tensor, "*any channels"]) -> Float[Tensor, "*any channels"]:
    """Scale every token to length one; a token of zeros stays."""
    norms: Tensor = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True)
    return tokens / norms.clamp(min=TINY)


def token_distances(
    query: Float[Tensor, "episodes query patterns channels"],
    classes: Float[Tensor, "episodes way patterns channels"],
) -> Float[Tensor, "episodes query way"]:
    """Sum 1 - cosine over the tokens of the same pattern."""
    products = directions(query).flatten(2) @ directions(classes).flatten(2).mT
    return query.shape[2] - products


def negative_distances(query: Tokens, classes: Tokens) -> Float[Tensor, "episodes query way"]:
    """Compute the distance to what the farthest of the other classes lacks, in both senses."""
    lacking = farthest_other(token_distances(query.negative, classes.positive))
    return (lacking + farthest_other(token_distances(query.positive, classes.negative))) / 2


def farthest_other(
    distances: Float[Tensor, "episodes query way"],
) -> Float[Tensor, "episodes query way"]:
    """Return for each class the largest distance to any other; zero where there is no other."""
    way = distances.shape[2]
    if way == 1:
        return torch.zeros_like(distances)
    own = torch.eye(way, dtype=torch.bool, device=distances.device)
    return distances[:, :, None].masked_fill(own, -math.inf).amax(dim=3)
