"""ITANet: frames encoded in the context of their video are compared at equal places in time."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tasd.errors import UserError
from tasd.matchers.arithmetic import shot_means
from tasd.matchers.attention import waves
from tasd.matchers.base import Matcher, Rate, Width
from tasd.matchers.itanet_context import ContextEncoder
from tasd.types import Features, Scores, Task

TINY = 1e-8  # added to the norm of a frame
SCALES = (1.0, 100.0)  # between which the learnt scale stays
Scale = Annotated[float, Field(ge=SCALES[0], le=SCALES[1])]


class Reduction(nn.Module):
    """A 1 x 1 convolution to fewer channels, BatchNorm and ReLU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(channels, width, 1, bias=False)
        self.norm = nn.BatchNorm3d(width)

    def forward(
        self, maps: Float[Tensor, "videos channels time rows columns"]
    ) -> Float[Tensor, "videos width time rows columns"]:
        """Reduce the channels of the maps."""
        return functional.relu(self.norm(self.convolution(maps)))


class TemporalAlignment(nn.Module):
    """y = f + MHSA(LN(f) + P): frame t of y stands for the t-th stage of the action.

    P are sines and cosines times a learnt factor, 1 at the start.
    """

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.position_scale = nn.Parameter(torch.ones(()))
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)

    def forward(
        self, frames: Float[Tensor, "videos time width"]
    ) -> Float[Tensor, "videos time width"]:
        """Encode each frame of a video again, in view of the others."""
        width = frames.shape[2]
        channel = torch.arange(width, dtype=frames.dtype, device=frames.device)
        places = waves(frames.shape[1], (channel - channel % 2) / width)
        placed = self.norm(frames) + self.position_scale * places
        attended, _ = self.attention(placed, placed, placed, need_weights=False)
        aligned: Tensor = frames + attended
        return aligned


class ITANet(Matcher):
    """Implicit temporal alignment network (ITANet), in our reading.

    Zhang, Zhou, He: "Learning Implicit Temporal Alignment for Few-shot Video Classification",
    IJCAI 2021. Our reading: the authors' alignment code is not public. None of the commits of their
    repository (PyAction) holds the context encoder or the alignment.

    Each frame is encoded in the context of its picture (positions and groups of channels) and then
    of its video, with positions. Two videos are compared frame by frame at equal places: no
    alignment of a pair is estimated, hence "implicit".

    width: channels after a reduction; None leaves those of the backbone.
    spatial, channel: the context encoders. They read maps; without both, the pooled frames do.
    groups: of channels. temporal: the alignment. heads, dropout: of its attention.
    pairs: frames at "equal" places, or "all", the mean over all pairs of frames.
    scale: of the mean cosine at the start; it is learnt, and stays between 1 and 100.
    classes: number of training classes, for the classifier of the losses.

    The losses: ``video``, the cross-entropy of a classifier over all training classes on the mean
    frame, and ``frame``, the same classifier on each frame.

    The paper's abstract fixes the three parts (alignment of pairs that is implicit, context of
    positions and channels, losses of several tasks). The authors' code has the cosine of mean
    unit frames: ``width=None, spatial=False, channel=False, temporal=False, pairs="all"``. Ours:
    all sizes, sinusoid positions, contexts that begin at zero, one layer of alignment, the mean
    over shots in place of their sum, 7 x 7 cells for the keys of groups on maps of any size.
    """

    needs_maps = True  # unless both context modules are off
    without_maps: ClassVar[str] = (
        "set matcher.options.spatial and matcher.options.channel to false for its temporal "
        "alignment alone"
    )

    def __init__(
        self,
        channels: int,
        *,
        width: Width | None = 512,
        spatial: bool = True,
        channel: bool = True,
        groups: Width = 8,
        temporal: bool = True,
        heads: Width = 8,
        dropout: Rate = 0.1,
        pairs: Literal["equal", "all"] = "equal",
        scale: Scale = 10.0,
        classes: int | None = None,
    ) -> None:
        super().__init__(channels)
        self.needs_maps, self.pairwise, self.pairs = spatial or channel, True, pairs
        inner = width or channels
        _check_divides("groups", groups if channel else 1, inner)
        _check_divides("heads", heads if temporal else 1, inner)
        self.reduction = nn.Identity() if width is None else Reduction(channels, inner)
        self.context = ContextEncoder(inner, groups=groups, spatial=spatial, channel=channel)
        self.alignment = (
            TemporalAlignment(inner, heads=heads, dropout=dropout) if temporal else nn.Identity()
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.classifier = None if classes is None else nn.Linear(inner, classes)
        self.loss_names = () if classes is None else ("video", "frame")

    def match(self, task: Task) -> Scores:
        """Score the task; add the losses of the classifier where classes are known."""
        episodes, shots = task.support.shape[:2]
        frames = torch.cat([task.support, task.query], dim=1).flatten(0, 1)
        maps = None
        if self.needs_maps:
            assert task.support_maps is not None, "ITANet reads maps"
            assert task.query_maps is not None, "ITANet reads maps"
            maps = torch.cat([task.support_maps, task.query_maps], dim=1).flatten(0, 1)
        encoded = self.encoded(Features(frames, maps))
        ready = self.directions(encoded).unflatten(0, (episodes, -1))
        scores = self.compare(
            Task(task.way, ready[:, :shots], ready[:, shots:], task.support_labels)
        )
        if self.classifier is None or task.support_classes is None or task.query_classes is None:
            return scores
        classes = torch.cat([task.support_classes, task.query_classes], dim=1).flatten()
        return Scores(scores.logits, self.classified(encoded, classes))

    def encoded(self, features: Features) -> Float[Tensor, "videos time width"]:
        """Encode the frames of videos in the context of picture and video."""
        maps = features.maps if self.needs_maps else features.frames.mT[..., None, None]
        assert maps is not None, "ITANet reads maps"
        aligned: Tensor = self.alignment(self.context(self.reduction(maps)))
        return aligned

    def directions(
        self, frames: Float[Tensor, "videos time width"]
    ) -> Float[Tensor, "videos rows width"]:
        """Scale frames to length one; where all pairs count, their mean is enough."""
        unit = frames / (torch.linalg.vector_norm(frames, dim=2, keepdim=True) + TINY)
        compared: Tensor = unit.mean(dim=1, keepdim=True) if self.pairs == "all" else unit
        return compared

    def classified(
        self, frames: Float[Tensor, "videos time width"], classes: Tensor
    ) -> dict[str, Float[Tensor, ""]]:
        """Compute the cross-entropies of the mean frame and of each frame."""
        assert self.classifier is not None
        of_frames = classes[:, None].expand(frames.shape[:2]).flatten()
        return {
            "video": functional.cross_entropy(self.classifier(frames.mean(dim=1)), classes),
            "frame": functional.cross_entropy(self.classifier(frames.flatten(0, 1)), of_frames),
        }

    def prepare(self, features: Features) -> Features:
        """Compute the directions of all frames."""
        return Features(self.directions(self.encoded(features)))

    def compare(self, task: Task) -> Scores:
        """Score by the mean cosine of frames at equal places, mean over the shots."""
        distances = self.pair_distances(task.query, task.support)
        return Scores(-shot_means(distances, task.support_labels, way=task.way))

    def pair_distances(
        self,
        query: Float[Tensor, "episodes query query_time channels"],
        support: Float[Tensor, "episodes support support_time channels"],
    ) -> Float[Tensor, "episodes query support"]:
        """Compute minus the scaled mean over time of <q_t, s_t>."""
        assert query.shape[2] == support.shape[2], "videos have equally many frames"
        products = query.flatten(2) @ support.flatten(2).mT / query.shape[2]
        return -self.log_scale.exp().clamp(*SCALES) * products


def _check_divides(option: str, value: int, width: int) -> None:
    if width % value:
        raise UserError(
            f"option {option!r} of matcher 'itanet' is {value}, which does not divide its "
            f"{width} channels (option 'width'); 8 divides 512"
        )
