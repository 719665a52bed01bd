"""The base class of all matchers, and the types of their options."""

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from tasd.device import outside_autocast, widened
from tasd.errors import UserError
from tasd.types import Features, Scores, Task

# Types of options, checked by `tasd.matchers.build`.
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Cardinalities = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class Matcher(nn.Module):
    """Base class of matchers, which score the queries of a task against its classes.

    ``matcher(task)`` scores a task of raw features. Cached evaluation runs the same two steps
    apart: `prepare` once for each video, then `compare` for each task of prepared videos. A new
    matcher overrides `compare`, and `prepare` where part of the work needs one video only. One
    that reads several stages of the backbone folds them into the frames by `condense`, before all
    else; features without levels have been condensed.

    levels: number of the backbone's last stages whose maps `condense` reads; on a backbone with
        fewer it reads those that there are. 0 for almost all.
    needs_maps: true where the matcher reads the feature maps, not only the frames.
    without_maps: the settings with which it needs none, for messages; empty where there are none.
    needs_pixels: true where one of its losses reads the frames' pixels in training.
    task_level: true where a class's score depends on the other classes of the episode.
    transductive: true where a query's scores depend on the other queries.
    reads_norms: true where it uses known norms of prepared frames (`Task.query_norms`).
    pairwise: true where a class's score is minus the mean of `pair_distances` over its shots.
    loss_names: names of the losses that `Scores.losses` may hold in training.
    metric_loss: the one that trains its scores: "metric" is their cross-entropy, any other is its
        own and stands in place of that.
    encoder_losses: those that pass changed pixels through the backbone (`Task.encode`).
    fewest_frames: the smallest number of frames of a video that the matcher can compare.
    """

    levels: int = 0
    needs_maps: bool = False
    without_maps: ClassVar[str] = ""
    needs_pixels: bool = False
    task_level: ClassVar[bool] = False
    transductive: bool = False
    reads_norms: ClassVar[bool] = False
    pairwise: bool = False
    loss_names: tuple[str, ...] = ()
    metric_loss: str = "metric"
    encoder_losses: tuple[str, ...] = ()
    fewest_frames: int = 1

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, task: Task) -> Scores:
        """Score a task of raw features in float32 (or float64), under autocast too."""
        with outside_autocast(task.support):
            return self.match(condensed(self, _widened(task)))

    def match(self, task: Task) -> Scores:
        """Run `prepare` and `compare`; overridden where a loss needs results from within."""
        return self.compare(prepared(self, task))

    def condense(self, features: Features) -> Features:
        """Fold the levels of each video into its frames; by default there are none to fold.

        The frames keep their shape and the maps stay. The levels are float32 or float64, and
        autocast is off.
        """
        return features

    def rate_factors(self) -> dict[str, float]:
        """Return factors on the learning rate, by the name of the parameter; the others have 1."""
        return {}

    def prepare(self, features: Features) -> Features:
        """Compute all that needs each video alone; by default the features stay unchanged.

        The frames returned may have another time and width, and maps that are no longer needed
        are dropped. The features are float32 or float64, and autocast is off.
        """
        return features

    def compare(self, task: Task) -> Scores:
        """Score a task of prepared features in their own precision, with autocast off."""
        raise NotImplementedError

    def pair_distances(
        self,
        query: Float[Tensor, "episodes query query_time channels"],
        support: Float[Tensor, "episodes support support_time channels"],
    ) -> Float[Tensor, "episodes query support"]:
        """Compute distances between prepared videos, for matchers that are `pairwise`."""
        raise NotImplementedError


def condensed(matcher: Matcher, task: Task) -> Task:
    """Fold the levels of a task into its frames, all its videos at once; none stay."""
    if not matcher.levels or not task.support_levels:
        return replace(task, support_levels=(), query_levels=())
    support = task.support.shape[1]
    frames = torch.cat([task.support, task.query], dim=1)
    levels = tuple(
        torch.cat(both, dim=1).flatten(0, 1)
        for both in zip(task.support_levels, task.query_levels, strict=True)
    )
    found = matcher.condense(Features(frames.flatten(0, 1), levels=levels)).frames
    found = found.reshape(*frames.shape[:2], *found.shape[1:])
    return replace(
        task,
        support=found[:, :support],
        query=found[:, support:],
        support_levels=(),
        query_levels=(),
    )


def prepared(matcher: Matcher, task: Task) -> Task:
    """Replace the features of a task by those that the matcher prepares from them.

    Pixels and norms are dropped: prepared frames may have another time and length.
    """
    task = condensed(matcher, task)
    support = _prepare(matcher, task.support, task.support_maps)
    query = _prepare(matcher, task.query, task.query_maps)
    return replace(
        task,
        support=_of_episodes(support.frames, task.support),
        support_maps=None if support.maps is None else _of_episodes(support.maps, task.support),
        query=_of_episodes(query.frames, task.query),
        query_maps=None if query.maps is None else _of_episodes(query.maps, task.query),
        support_pixels=None,
        query_pixels=None,
        encode=None,
        support_norms=None,
        query_norms=None,
    )


def _prepare(matcher: Matcher, frames: Tensor, maps: Tensor | None) -> Features:
    videos = Features(frames.flatten(0, 1), None if maps is None else maps.flatten(0, 1))
    return matcher.prepare(videos)


def _of_episodes(videos: Tensor, like: Tensor) -> Tensor:
    """Reshape (episodes * videos, ...) to (episodes, videos, ...)."""
    return videos.reshape(*like.shape[:2], *videos.shape[1:])


def _widened(task: Task) -> Task:
    """Convert half-precision features to float32; float32 and float64 stay."""
    wide: dict[str, Any] = {
        name: widened(value)
        for name, value in vars(task).items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    for name in ("support_levels", "query_levels"):
        wide[name] = tuple(map(widened, getattr(task, name)))
    return replace(task, **wide)


def check_heads(name: str, channels: int, heads: int) -> None:
    """Check that the attention heads share the channels evenly. Raises `UserError`."""
    if channels % heads:
        raise UserError(
            f"option 'heads' of matcher {name!r} is {heads}, which does not divide the backbone's "
            f"{channels} channels; 8 divides those of every backbone"
        )
