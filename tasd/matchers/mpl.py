"""MPL: prototypes refined by what they match, and a token of the episode before each video."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from tasd.errors import UserError
from tasd.matchers.arithmetic import TINY, class_means, cosine_distances
from tasd.matchers.attention import SelfAttention, VideoAttention, multi_head
from tasd.matchers.base import Count, Matcher, Width, check_heads
from tasd.matchers.bimhm import bidirectional_hausdorff
from tasd.types import Features, Scores, Task

HIDDEN = 2048


class ShotAttention(VideoAttention):
    """Attention over the shots of a class, frame by frame: LayerNorm(x + Wo MHA(x) + bo)."""

    def forward(
        self,
        support: Float[Tensor, "episodes support time channels"],
        labels: Int64[Tensor, "episodes support"],
    ) -> Float[Tensor, "episodes support time channels"]:
        """Let the shots of each class attend to each other; their shape stays."""
        frames = support.transpose(1, 2)
        # (episodes, time, heads, support, support)
        classmates = (labels[:, :, None] == labels[:, None])[:, None, None]
        parts = self.query(frames), self.key(frames), self.value(frames)
        rate = 0.1 if self.training else 0.0
        mixed = multi_head(*parts, heads=self.heads, dropout=rate, mask=classmates)
        related: Tensor = self.norm(frames + self.dropout(self.out(mixed)))
        return related.transpose(1, 2)


class Context(nn.Module):
    """A transformer layer without a norm before its MLP: y = x + MHA(LN(x)), then y + MLP(y)."""

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(channels, heads=heads)
        self.mlp = nn.Sequential(
            nn.Linear(channels, HIDDEN),
            nn.GELU(),
            nn.Dropout(0.05),
            nn.Linear(HIDDEN, channels),
            nn.Dropout(0.05),
        )

    def forward(
        self, tokens: Float[Tensor, "*videos time channels"]
    ) -> Float[Tensor, "*videos time channels"]:
        """Let the tokens of each sequence attend to each other; their shape stays."""
        attended = self.attention(tokens)
        mixed: Tensor = attended + self.mlp(attended)
        return mixed


@dataclass(frozen=True)
class Keys:
    """One vector for each query, and one for each class as each query sees it."""

    query: Float[Tensor, "episodes query channels"]
    classes: Float[Tensor, "episodes query way channels"]


class MPL(Matcher):
    """Match-guided prototype learning (MPL).

    "MPL: Match-guided Prototype Learning for Few-shot Action Recognition", CVPR 2026.

    The prototype of a class is the mean of its shots and of their attention to each other. Frames
    that queries and classes match in each other make one key a video, the keys of an episode
    attend to each other, and the result stands as a further token before the frames of each video
    when they are compared as sets by the bidirectional mean Hausdorff metric.

    heads: their number in both attentions; it divides the channels.
    transductive: false scores each query alone. True is the published way: all queries of an
    episode attend to each other, and a class's key is averaged over them.
    nearest: with ``transductive``, the number of nearest query videos that are added to each
    support video beforehand (1 or 2 in the published tests); 0 adds none.

    Against the published code: it lets the queries of an episode see each other in three places,
    and with one query of each class an episode reveals the set of answers, so that ours scores each
    query alone unless ``transductive`` is set. Unequal shots. As in the code: a key is made of the
    frames whose numbers the match gives for the other video. Left out: its unused parameters, and
    its window of the metric, which at 9 never limits 8 frames. Class names as text are no part.
    """

    task_level = True

    def __init__(
        self,
        channels: int,
        *,
        heads: Width = 8,
        transductive: bool = False,
        nearest: Count = 0,
    ) -> None:
        super().__init__(channels)
        check_heads("mpl", channels, heads)
        if nearest and not transductive:
            raise UserError(
                f"option 'nearest' of matcher 'mpl' is {nearest}, which adds query videos to the "
                "support, and each query is scored alone; leave it out, or set "
                "matcher.options.transductive=true"
            )
        self.transductive, self.nearest = transductive, nearest
        self.shots = ShotAttention(channels, heads=heads)
        self.context = Context(channels, heads=heads)

    def match(self, task: Task) -> Scores:
        """Score a task of frames: prototypes of its supports, and nothing else beforehand."""
        support = drawn_to_queries(task, self.nearest) if self.nearest else task.support
        prototypes = self.prototypes(support, task.support_labels, way=task.way)
        return self._scores(task.query, prototypes, self.context(prototypes))

    def prepare(self, features: Features) -> Features:
        """Follow the frames by the prototype of a video alone in its class, and by its context.

        (videos, 3 time, channels): where each class has one shot, an episode needs no more of it.
        """
        frames = features.frames
        alone = torch.zeros(len(frames), 1, dtype=torch.long, device=frames.device)
        prototypes = self.prototypes(frames[:, None], alone, way=1)[:, 0]
        return Features(torch.cat([frames, prototypes, self.context(prototypes)], dim=1))

    def compare(self, task: Task) -> Scores:
        """Score by minus the set distance of the sequences of the episode's token and frames."""
        frames, *of_one_shot = task.support.chunk(3, dim=2)
        query = task.query.chunk(3, dim=2)[0]
        if self.nearest or task.support.shape[1] > task.way:
            return self.match(
                replace(task, support=frames, query=query, support_norms=None, query_norms=None)
            )
        labels, way = task.support_labels, task.way
        return self._scores(query, *(class_means(part, labels, way=way) for part in of_one_shot))

    def _scores(
        self,
        query: Float[Tensor, "episodes query time channels"],
        prototypes: Float[Tensor, "episodes way time channels"],
        mixed: Float[Tensor, "episodes way time channels"],
    ) -> Scores:
        keys = crossed_keys(query, mixed, matched_by=prototypes)
        return Scores(-self._distances(query, mixed, keys))

    def prototypes(
        self,
        support: Float[Tensor, "episodes support time channels"],
        labels: Int64[Tensor, "episodes support"],
        *,
        way: int,
    ) -> Float[Tensor, "episodes way time channels"]:
        """Average each class's shots and their attention to each other."""
        return class_means(support + self.shots(support, labels), labels, way=way)

    def _distances(
        self,
        query: Float[Tensor, "episodes query time channels"],
        classes: Float[Tensor, "episodes way time channels"],
        keys: Keys,
    ) -> Float[Tensor, "episodes query way"]:
        """Compute the metric between the queries and classes, each behind its own token."""
        # A group of queries sees the same episode: all of them, or each its own.
        own, seen = keys.query[:, :, None], keys.classes
        if self.transductive:
            own, seen = keys.query[:, None], keys.classes.mean(dim=1, keepdim=True)
        groups, members = own.shape[1:3]
        tokens = self.context(torch.cat([own, seen], dim=2))
        first = tokens[:, :, :members].reshape(keys.query.shape) + query.mean(dim=2)
        of_query = torch.cat([first[:, :, None], query], dim=2)
        second = tokens[:, :, members:] + classes.mean(dim=2)[:, None]
        frames = classes[:, None].expand(-1, groups, -1, -1, -1)
        of_classes = torch.cat([second[:, :, :, None], frames], dim=3)
        pairs = cosine_distances(
            of_query.reshape(-1, members, *of_query.shape[2:]), of_classes.flatten(0, 1)
        )
        return bidirectional_hausdorff(pairs).reshape(*query.shape[:2], -1)


def crossed_keys(
    query: Float[Tensor, "episodes query time channels"],
    classes: Float[Tensor, "episodes way time channels"],
    *,
    matched_by: Float[Tensor, "episodes way time channels"],
) -> Keys:
    """Average the frames that matching names, by their numbers in the other video.

    The query's frame nearest to each frame of a class has a number; the class's frames of these
    numbers make its key, and the same the other way round. So does the published code.
    """
    frames = cosine_distances(query, matched_by)
    time = query.shape[2]
    # (episodes, query, way, time): how often each number is named
    by_query = functional.one_hot(frames.argmin(dim=3), time).sum(dim=3).to(query.dtype)
    by_class = functional.one_hot(frames.argmin(dim=4), time).sum(dim=3).to(query.dtype)
    return Keys(
        query=torch.einsum("eqwt,eqtc->eqc", by_class, query) / (time * classes.shape[1]),
        classes=torch.einsum("eqwt,ewtc->eqwc", by_query, classes) / time,
    )


def drawn_to_queries(task: Task, nearest: int) -> Float[Tensor, "episodes support time channels"]:
    """Add to each support video its nearest queries, by how much nearer they are than others."""
    distances = bidirectional_hausdorff(cosine_distances(task.query, task.support))
    count = min(nearest, distances.shape[1])
    near, far = (distances.topk(count, dim=1, largest=largest) for largest in (False, True))
    # (episodes, count, support)
    gaps = far.values - near.values
    norms: Tensor = torch.linalg.vector_norm(gaps, dim=1, keepdim=True)
    weights = gaps / norms.clamp(min=TINY)
    episodes = torch.arange(len(gaps), device=gaps.device)[:, None, None]
    added = torch.einsum("ens,enstc->estc", weights, task.query[episodes, near.indices])
    return task.support + added
