"""The data that the parts of the system pass to each other, with shapes.

Names of dimensions: ``videos`` of an episode (support first, then query), ``time`` the frames of
a video (8 in the paper), ``channels`` (2048 for ResNet-50), ``height`` and ``width`` of pixels or
of feature maps, ``episodes`` in a batch of equally shaped episodes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from tasd.episodes import Episode

# The input of a network: pixels of some videos, or the pooled features of a frozen backbone.
Clips = UInt8[Tensor, "videos time height width 3"] | Float[Tensor, "videos time channels"]

# From normalised pixels to the maps A, by the very backbone of the episode's other videos.
Encode = Callable[
    [Float[Tensor, "videos time 3 rows columns"]],
    Float[Tensor, "videos channels steps height width"],
]

# Of RGB pixels in 0..1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of RGB pixels (0..1) that a backbone was trained with."""

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


@dataclass(frozen=True)
class EpisodeBatch:
    """One episode, decoded, on the training device. Pixels are RGB, 0..255.

    second: second views of the support or query videos, for the teacher.

    With cached features of a frozen backbone, these stand in place of frames and second.
    """

    episode: Episode
    frames: Clips
    support_labels: Int64[Tensor, " support"]
    query_labels: Int64[Tensor, " query"]
    second: (
        UInt8[Tensor, "views time height width 3"] | Float[Tensor, "views time channels"] | None
    ) = None


@dataclass(frozen=True)
class Features:
    """The output of a network for some videos: F and A of the paper.

    frames: the frame-level features F that matchers compare.
    maps: the backbone's feature maps A, or None where only frames were kept.
    levels: the maps of the backbone's last stages, the finest first and A last; only for a matcher
        that reads them, until `Matcher.condense` has folded them into the frames.
    """

    frames: Float[Tensor, "videos time channels"]
    maps: Float[Tensor, "videos channels time height width"] | None = None
    levels: tuple[Float[Tensor, "videos _ time _ _"], ...] = ()


@dataclass(frozen=True)
class Task:
    """Features of a batch of equally shaped episodes: the input of a matcher.

    support_labels: 0..way-1, in any order; classes may have unequal numbers of shots.
    query_labels: labels within the episode; only in training, for a matcher's own losses.
    support_classes, query_classes: indices among the training classes; only in training.
    support_pixels, query_pixels: the normalised frames that the backbone reads; only in
        training, where a matcher's own loss needs them.
    support_levels, query_levels: as in `Features`; empty where they are condensed already.
    encode: the backbone, for losses that compare a changed clip with the clip; only in training,
        where such a loss has a weight.
    support_norms, query_norms: Euclidean norm of every frame, where it is already known.
    """

    way: int
    support: Float[Tensor, "episodes support time channels"]
    query: Float[Tensor, "episodes query time channels"]
    support_labels: Int64[Tensor, "episodes support"]
    support_maps: Float[Tensor, "episodes support channels time height width"] | None = None
    query_maps: Float[Tensor, "episodes query channels time height width"] | None = None
    support_levels: tuple[Float[Tensor, "episodes support _ time _ _"], ...] = ()
    query_levels: tuple[Float[Tensor, "episodes query _ time _ _"], ...] = ()
    query_labels: Int64[Tensor, "episodes query"] | None = None
    support_classes: Int64[Tensor, "episodes support"] | None = None
    query_classes: Int64[Tensor, "episodes query"] | None = None
    support_pixels: Float[Tensor, "episodes support frames 3 rows columns"] | None = None
    query_pixels: Float[Tensor, "episodes query frames 3 rows columns"] | None = None
    encode: Encode | None = None
    support_norms: Float[Tensor, "episodes support time"] | None = None
    query_norms: Float[Tensor, "episodes query time"] | None = None


@dataclass(frozen=True)
class Scores:
    """The output of a matcher: class scores (higher is likelier), its own unweighted losses."""

    logits: Float[Tensor, "episodes query way"]
    losses: dict[str, Float[Tensor, ""]] = field(default_factory=dict)


@dataclass(frozen=True)
class Targets:
    """The teacher's outputs for its videos; None where no loss term needs them.

    The rows follow the pair modes: the support, or for SS and QS the same videos as the student.
    """

    projections: Float[Tensor, "projected out_dim"] | None = None
    centre: Float[Tensor, " out_dim"] | None = None
    maps: Float[Tensor, "videos channels time rows columns"] | None = None
    relations: Float[Tensor, "frames channels rows columns"] | None = None


@dataclass(frozen=True)
class Losses:
    """Named, unweighted terms, the weighted total, and figures for the log.

    gradient_norms: for each term the norms of its gradient at F and A, where requested.
    relation_share: ||phi(A) - A|| / ||A||.
    """

    terms: dict[str, Float[Tensor, ""]]
    total: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]
    gradient_norms: dict[str, dict[str, Float[Tensor, ""]]] = field(default_factory=dict)
    relation_share: Float[Tensor, ""] | None = None
