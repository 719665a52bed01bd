"""The arithmetic that matchers share: cosines between frames, means and groups by class."""

from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

TINY = 1e-12  # floor of a norm, so that a frame of zeros has cosine 0 and not NaN


def cosine_distances(
    query: Float[Tensor, "episodes query query_time channels"],
    support: Float[Tensor, "episodes support support_time channels"],
    *,
    eps: float = 0.0,
    query_norms: Float[Tensor, "episodes query query_time"] | None = None,
    support_norms: Float[Tensor, "episodes support support_time"] | None = None,
) -> Float[Tensor, "episodes query support query_time support_time"]:
    """Compute 1 - <q, s> / (|q| |s| + eps) between all frames of all pairs of videos.

    The products are divided, not the features, and known norms may be given: each saves one pass
    over the features.
    """
    products = torch.bmm(query.flatten(1, 2), support.flatten(1, 2).mT)
    rows = frame_norms(query) if query_norms is None else query_norms
    columns = frame_norms(support) if support_norms is None else support_norms
    norms = rows.flatten(1)[:, :, None] * columns.flatten(1)[:, None, :]
    distances = 1 - products / (norms + eps)
    return distances.reshape(*query.shape[:3], *support.shape[1:3]).transpose(2, 3)


def frame_norms(
    frames: Float[Tensor, "episodes videos time channels"],
) -> Float[Tensor, "episodes videos time"]:
    """Compute the Euclidean norm of every frame's feature, never below `TINY`."""
    norms: Tensor = torch.linalg.vector_norm(frames, dim=-1)
    return norms.clamp(min=TINY)


def class_means(
    values: Float[Tensor, "episodes support *rest"],
    labels: Int64[Tensor, "episodes support"],
    *,
    way: int,
) -> Float[Tensor, "episodes way *rest"]:
    """Average over the shots of each class; classes may have unequal numbers of shots."""
    means = torch.bmm(_shot_weights(labels, way, values.dtype), values.flatten(2))
    return means.reshape(values.shape[0], way, *values.shape[2:])


def shot_means(
    values: Float[Tensor, "episodes query support"],
    labels: Int64[Tensor, "episodes support"],
    *,
    way: int,
) -> Float[Tensor, "episodes query way"]:
    """Average the values of pairs over the shots of each class."""
    return torch.bmm(values, _shot_weights(labels, way, values.dtype).mT)


def _shot_weights(labels: Tensor, way: int, dtype: torch.dtype) -> Tensor:
    """(episodes, way, support): 1 / shots for the supports of the class, 0 for the others."""
    own = (labels[:, None, :] == torch.arange(way, device=labels.device)[:, None]).to(dtype)
    return own / own.sum(dim=2, keepdim=True)


@dataclass(frozen=True)
class Shots:
    """The supports of each class, in the order given; classes with fewer are filled up.

    index: of each shot among the supports; where ``given`` is false, of a support to be ignored.
    given: true where the class has that many shots.
    """

    index: Int64[Tensor, "episodes way shots"]
    given: Bool[Tensor, "episodes way shots"]

    def of(
        self, supports: Float[Tensor, "episodes support *rest"]
    ) -> Float[Tensor, "episodes way shots *rest"]:
        """Gather the supports class by class."""
        episodes = torch.arange(supports.shape[0], device=supports.device)
        return supports[episodes[:, None, None], self.index]


def shots_by_class(labels: Int64[Tensor, "episodes support"], *, way: int) -> Shots:
    """Group the supports of each episode by class."""
    own = labels[:, None, :] == torch.arange(way, device=labels.device)[:, None]
    # A stable sort puts the class's own supports first and keeps their order.
    index = torch.sort((~own).long(), dim=2, stable=True).indices
    most = int(own.sum(dim=2).max())
    given = torch.arange(most, device=labels.device) < own.sum(dim=2, keepdim=True)
    return Shots(index[:, :, :most], given)


def frame_tuples(time: int, cardinality: int, *, like: Tensor) -> Int64[Tensor, "tuples frames"]:
    """List all increasing choices of ``cardinality`` of ``time`` frames, in lexicographic order."""
    chosen = list(combinations(range(time), cardinality))
    return torch.tensor(chosen, dtype=torch.int64, device=like.device)
