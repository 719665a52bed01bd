"""ARN: videos as correlations of channels, compared by a relation network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tasd.matchers.arithmetic import class_means
from tasd.matchers.arn_attention import (
    CLASSES,
    Change,
    Changed,
    SpatialAttention,
    TemporalAttention,
    convolution,
)
from tasd.matchers.arn_relation import WIDTH, Discriminator, RelationNetwork
from tasd.matchers.base import Matcher, NotNegative, Positive
from tasd.types import Encode, Features, Scores, Task

TINY = 1e-12  # least trace that is divided by
PAIRS_AT_ONCE = 64  # compared outside training: a few MiB each


@dataclass(frozen=True)
class Parts:
    """The units of a row of the paper's Tables 3 and 4: attention, and what is predicted."""

    temporal: bool = False
    spatial: bool = False
    change: Change | None = None


Variant = Literal["none", "ta", "sa", "ta_sa", "tsa", "ssa_jigsaw", "ssa_rotation"]
VARIANTS: Mapping[Variant, Parts] = {
    "none": Parts(),
    "ta": Parts(temporal=True),
    "sa": Parts(spatial=True),
    "ta_sa": Parts(temporal=True, spatial=True),
    "tsa": Parts(temporal=True, change="temporal_jigsaw"),
    "ssa_jigsaw": Parts(spatial=True, change="spatial_jigsaw"),
    "ssa_rotation": Parts(spatial=True, change="rotation"),
}


def power_normalised_correlation(
    maps: Float[Tensor, "videos channels time height width"], *, sigma: float
) -> Float[Tensor, "videos channels channels"]:
    """Correlate the channels over all positions, whose order does not matter.

    M = Phi Phi^T / N, divided by its trace (as in the code, not in the paper), then
    2 sigmoid(sigma M) - 1 = tanh(sigma M / 2); the printed sign is a misprint. Eq. (5) of Zhang
    et al. 2020.
    """
    flat = maps.flatten(2)
    products = flat @ flat.mT / flat.shape[2]
    trace = products.diagonal(dim1=1, dim2=2).sum(dim=1).clamp(min=TINY)
    return torch.tanh(sigma / 2 * products / trace[:, None, None])


def relation_error(
    scores: Float[Tensor, "episodes query way"], labels: Tensor
) -> Float[Tensor, ""]:
    """Compute the mean squared difference of scores from 1 (same class) or 0.

    The paper has a sum, both codes a mean. Eq. (4) of Zhang et al. 2020.
    """
    same = functional.one_hot(labels, scores.shape[2]).to(scores)
    return functional.mse_loss(scores, same)


class ARN(Matcher):
    """Action relation network (ARN).

    Zhang, Zhang, Qi, Li, Torr, Koniusz: "Few-shot Action Recognition with Permutation-invariant
    Attention", ECCV 2020.

    A video is the matrix of correlations between the channels of its maps, over all positions and
    times, weighted by attention. A network compares the matrices of a class and of a query. The
    backbone also learns to tell how a clip was rotated or shuffled, and the attention to change
    with it.

    variant: the row of the paper's Tables 3 and 4: "none", temporal and spatial attention ("ta",
        "sa", "ta_sa"), and with self-supervision "tsa" (shuffled in time), "ssa_jigsaw" (shuffled
        regions) and "ssa_rotation".
    a_s, a_t: added to the spatial and to the temporal attention; the paper has 1.0 and 0.5 for
        HMDB51, 1.5 and 1.0 for UCF101.
    sigma: slope of the power normalisation.
    margin: lambda of the alignment; 0 aligns plainly.
    loss: "mse" as published, on scores between 0 and 1; "ce" (ours) is the cross-entropy of the
        scores before the sigmoid.

    The losses: ``mse`` L; ``self_supervision``, the cross-entropy of the ways, whose weight is
    beta; ``alignment``, whose weight is gamma. The latter two pass changed pixels through the
    backbone a second time: a step takes twice the time and memory.

    The paper's: idea, losses, a_s and a_t. Of ZJUT's code (mindvideo, a part of the paper):
    spatial unit, relation network, sigma, the trace. Of the first author's SoSN: initialisation.
    Ours, for want of any source: the temporal unit, the network that tells the ways, ten
    permutations, maps of other channels reduced to 64 by a convolution first ("ARN head"), and
    attention resized where its size does not suit a jigsaw. Against ZJUT's code: any way, support
    and query in one batch of BatchNorm, Eq. (5) with its right sign.
    """

    needs_maps = True

    def __init__(
        self,
        channels: int,
        *,
        variant: Variant = "ssa_rotation",
        a_s: NotNegative = 1.0,
        a_t: NotNegative = 0.5,
        sigma: Positive = 100.0,
        margin: NotNegative = 0.0,
        loss: Literal["mse", "ce"] = "mse",
    ) -> None:
        super().__init__(channels)
        parts = VARIANTS[variant]
        self.a_s, self.a_t, self.sigma, self.margin = a_s, a_t, sigma, margin
        self.change = parts.change
        self.reduce = nn.Identity() if channels == WIDTH else convolution(channels, WIDTH, kernel=1)
        self.spatial = SpatialAttention(WIDTH) if parts.spatial else None
        self.temporal = TemporalAttention(WIDTH) if parts.temporal else None
        self.relation = RelationNetwork()
        self.discriminator = None if parts.change is None else Discriminator(CLASSES[parts.change])
        self.encoder_losses = () if parts.change is None else ("self_supervision", "alignment")
        self.metric_loss = "mse" if loss == "mse" else "metric"
        self.loss_names = (*(["mse"] if loss == "mse" else []), *self.encoder_losses)
        self.fewest_frames = 4 if parts.change == "temporal_jigsaw" else 1
        self.apply(_initialise)

    def match(self, task: Task) -> Scores:
        """Score the task; add the losses whose labels or pixels the task holds."""
        assert task.support_maps is not None, "ARN reads maps"
        assert task.query_maps is not None, "ARN reads maps"
        episodes, shots = task.support.shape[:2]
        # Support and query in one batch, as one sample of statistics for BatchNorm.
        maps = self.reduce(torch.cat([task.support_maps, task.query_maps], dim=1).flatten(0, 1))
        pooled = self.pooled(maps).unflatten(0, (episodes, -1))
        ready = Task(task.way, pooled[:, :shots], pooled[:, shots:], task.support_labels)
        scores = self.compare(ready).logits
        losses: dict[str, Tensor] = {}
        if task.query_labels is not None and self.metric_loss == "mse":
            losses["mse"] = relation_error(scores, task.query_labels)
        if self.change is not None and task.encode is not None:
            assert task.support_pixels is not None, "pixels come with the backbone"
            assert task.query_pixels is not None, "pixels come with the backbone"
            pixels = torch.cat([task.support_pixels, task.query_pixels], dim=1).flatten(0, 1)
            losses |= self.of_changed(pixels, maps, task.encode)
        return Scores(scores, losses)

    def prepare(self, features: Features) -> Features:
        """Compute the correlations; a video has 64 rows in place of frames."""
        assert features.maps is not None, "ARN reads maps"
        return Features(self.pooled(self.reduce(features.maps)))

    def compare(self, task: Task) -> Scores:
        """Score each pair of a query and the mean of a class's supports."""
        classes = class_means(task.support, task.support_labels, way=task.way)
        queries, way = task.query.shape[1], task.way
        pair = torch.arange(task.query.shape[0] * queries * way, device=classes.device)
        query, own = pair // way, pair // (queries * way) * way + pair % way
        # In training all pairs are one batch of BatchNorm.
        size = len(pair) if self.training else PAIRS_AT_ONCE
        support, asked = classes.flatten(0, 1), task.query.flatten(0, 1)
        related = [
            self.relation(torch.stack([support[c], asked[q]], dim=1))
            for c, q in zip(own.split(size), query.split(size), strict=True)
        ]
        scores = torch.cat(related).reshape(-1, queries, way)
        return Scores(scores.sigmoid() if self.metric_loss == "mse" else scores)

    def pooled(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos channels channels"]:
        """Correlate the channels of reduced maps, weighted by attention."""
        return power_normalised_correlation(self.attended(maps), sigma=self.sigma)

    def attended(
        self, maps: Float[Tensor, "videos channels time height width"]
    ) -> Float[Tensor, "videos channels time height width"]:
        """Weigh the maps: (a_t + T) (a_s + S) Phi. Eq. (7) of Zhang et al. 2020."""
        weighted = maps
        if self.temporal is not None:
            weighted = (self.a_t + self.temporal(maps)) * weighted
        if self.spatial is not None:
            weighted = (self.a_s + self.spatial(maps)) * weighted
        return weighted

    def of_changed(
        self,
        pixels: Float[Tensor, "videos frames 3 rows columns"],
        maps: Float[Tensor, "videos channels time height width"],
        encode: Encode,
    ) -> dict[str, Float[Tensor, ""]]:
        """Change each clip in a drawn way and compute the losses of self-supervision.

        The draw is from torch's generator, which training seeds for each episode.
        """
        assert self.change is not None
        assert self.discriminator is not None
        changed = Changed(self.change, torch.randint(CLASSES[self.change], pixels.shape[:1]))
        other = encode(changed.of(pixels.transpose(1, 2)).transpose(1, 2))
        seen = self.reduce(other.to(maps.dtype))
        labels = changed.label.to(maps.device)
        unit = self.temporal if self.change == "temporal_jigsaw" else self.spatial
        assert unit is not None
        return {
            "self_supervision": functional.cross_entropy(self.discriminator(seen), labels),
            "alignment": alignment(changed, unit(maps), unit(seen), margin=self.margin),
        }


def alignment(
    changed: Changed,
    clean: Float[Tensor, "videos 1 time height width"],
    seen: Float[Tensor, "videos 1 time height width"],
    *,
    margin: float,
) -> Float[Tensor, ""]:
    """Compare the attention to a clip, changed, with the attention to the changed clip.

    The mean of (|aug(S) - S^| - lambda)^2; the paper has a sum. Eq. (12) of Zhang et al. 2020.
    """
    expected = changed.of(changed.fitted(clean))
    return ((expected - changed.fitted(seen)).abs() - margin).square().mean()


def _initialise(module: nn.Module) -> None:
    """Initialise as SoSN: convolutions by their output, linear layers small with a bias of 1."""
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.ones_(module.bias)
