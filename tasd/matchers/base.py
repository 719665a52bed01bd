"""What every matcher is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from tasd.device import outside_autocast, widened
from tasd.errors import UserError
from tasd.types import Features, Scores, Task

# What options may be; checked by `tasd.matchers.build`.
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[int, Field(ge=1)]
Cardinalities = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


@dataclass(frozen=True)
class Published:
    """What a matcher's authors report; how they trained it is in `tasd.recipes`.

    accuracy: 5-way accuracy in percent, data set -> (1-shot, 5-shot), with an ImageNet
        ResNet-50 on 8 RGB frames.
    """

    paper: str
    accuracy: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Matcher(nn.Module):
    """Scores the queries of a task against its classes.

    ``matcher(task)`` is the whole of it. Cached evaluation takes the same two steps apart:
    `prepare` reads one video at a time and is run once for each, `compare` then scores tasks of
    prepared videos. A new matcher overrides `compare`, and `prepare` where there is something
    to be said of a video alone.

    needs_maps: reads the feature maps, not only the frames.
    needs_pixels: a loss of its own reads the frames' pixels, in training.
    task_level: a class's score depends on the other classes of the episode.
    transductive: a query's scores depend on the other queries.
    reads_norms: can use the norms of prepared frames, where they are known (`Task.query_norms`).
    pairwise: a class's score is minus the mean of `pair_distances` over its shots.
    loss_names: what `Scores.losses` may hold in training.
    fewest_frames: of a video, below which there is nothing to compare.
    """

    PUBLISHED: ClassVar[Published]
    needs_maps: ClassVar[bool] = False
    needs_pixels: bool = False
    task_level: ClassVar[bool] = False
    transductive: ClassVar[bool] = False
    reads_norms: ClassVar[bool] = False
    pairwise: bool = False
    loss_names: tuple[str, ...] = ()
    fewest_frames: int = 1

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, task: Task) -> Scores:
        """Scores of a task of raw features, in float32 (or float64) whatever autocast says."""
        with outside_autocast(task.support):
            return self.match(_widened_task(task))

    def match(self, task: Task) -> Scores:
        """`prepare` and `compare`; overridden by matchers whose losses read what lies between."""
        return self.compare(prepared(self, task))

    def prepare(self, features: Features) -> Features:
        """What this matcher can say of videos before it meets a task; by default, nothing new.

        The frames that come back may have another time and width, and maps that are no longer
        needed are dropped. Takes float32 or float64, outside autocast.
        """
        return features

    def compare(self, task: Task) -> Scores:
        """Scores of a task of prepared features, in their own precision, outside autocast."""
        raise NotImplementedError

    def pair_distances(
        self,
        query: Float[Tensor, "episodes query query_time channels"],
        support: Float[Tensor, "episodes support support_time channels"],
    ) -> Float[Tensor, "episodes query support"]:
        """Distances between prepared videos, for matchers that are `pairwise`."""
        raise NotImplementedError


def prepared(matcher: Matcher, task: Task) -> Task:
    """The task with its features replaced by what the matcher prepares from them.

    Pixels and norms stay behind: prepared frames may have another time and length.
    """
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
        support_norms=None,
        query_norms=None,
    )


def _prepare(matcher: Matcher, frames: Tensor, maps: Tensor | None) -> Features:
    videos = Features(frames.flatten(0, 1), None if maps is None else maps.flatten(0, 1))
    return matcher.prepare(videos)


def _of_episodes(videos: Tensor, like: Tensor) -> Tensor:
    """(episodes * videos, ...) as (episodes, videos, ...)."""
    return videos.reshape(*like.shape[:2], *videos.shape[1:])


def _widened_task(task: Task) -> Task:
    wide: dict[str, Any] = {
        name: widened(value)
        for name, value in vars(task).items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    return replace(task, **wide)


def check_heads(name: str, channels: int, heads: int) -> None:
    """Attention heads share the channels evenly. Raises `UserError`."""
    if channels % heads:
        raise UserError(
            f"option 'heads' of matcher {name!r} is {heads}, which does not divide the backbone's "
            f"{channels} channels; 8 divides those of every backbone"
        )
