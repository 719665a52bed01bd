"""OTAM, ordered temporal alignment: a soft dynamic time warping with free ends."""

import torch
from jaxtyping import Float
from torch import Tensor

from tasd.matchers.arithmetic import cosine_distances, shot_means
from tasd.matchers.base import Matcher, NotNegative, Positive
from tasd.types import Scores, Task


def aligned_distance(
    distances: Float[Tensor, "*pairs rows columns"], *, smoothing: Positive
) -> Float[Tensor, "*pairs"]:
    """Compute the length of the soft shortest path through each matrix: gamma of Cao et al. 2020.

    A path enters and leaves at any row at no cost. With Z = exp(-A / smoothing) the softmin
    of lengths A is a sum of Z, and the recursion of the published code becomes, for the columns
    1..C and the rows 0..R-1,
        first column:  Z[l] = exp(-D[l]/s) (2 + Z[l-1]),            Z[0] = exp(-D[0]/s)
        later columns: Z[l] = exp(-D[l]/s) (Z'[l-1] + Z'[l]),       Z[0] = exp(-D[0]/s) Z'[0]
        the exit:      Z[0] + Z[R-1] + 2 (Z[1] + ... + Z[R-2]) + Z[0]    of the last column
    with Z' the column before. All of a column is computed at once, in logarithms, so that
    float32 neither under- nor overflows.
    """
    # (columns, rows, pairs): slices along rows and columns are contiguous then.
    costs = -distances.flatten(0, -3).permute(2, 1, 0).contiguous() / smoothing
    column = _first_column(costs[0])
    for cost in costs[1:]:
        reached = torch.logaddexp(column[:-1], column[1:])
        column = cost + torch.cat([column[:1], reached])
    twice = column[:-1] + torch.log(column.new_tensor(2.0))
    out = torch.cat([twice, column[-1:]]).logsumexp(dim=0)
    return -smoothing * out.reshape(distances.shape[:-2])


def _first_column(costs: Float[Tensor, "rows pairs"]) -> Float[Tensor, "rows pairs"]:
    """Compute the first column; below the first row it is entered twice from the left."""
    entered = torch.log(costs.new_tensor(2.0))
    cells = [costs[0]]
    for cost in costs[1:]:
        cells.append(cost + torch.logaddexp(entered, cells[-1]))
    return torch.stack(cells)


class OTAM(Matcher):
    """Ordered temporal alignment module (OTAM).

    Cao, Ji, Cao, Chang, Niebles: "Few-Shot Video Classification via Temporal Alignment",
    CVPR 2020.

    The distance of two videos is the cost of the cheapest alignment of their frames in order,
    where the shorter action may begin and end anywhere in the longer one. The minimum is a soft
    one, so that every alignment gets a share of the gradient. It has no parameters.

    smoothing: the lambda of the soft minimum (0.1; CLIP-FSAR uses 0.5). The soft minimum of
    equal numbers is below them, so that distances may be negative.
    eps: added to the cosine's denominator.

    Against the published code: the authors' own is not public, so this follows the
    reimplementation by Perrett that the field uses. There the first row is a plain running sum
    and only the columns have free ends, hence both directions are added. Its bare exponentials
    overflow in float32 once a length exceeds about 90 times lambda; here all is computed in
    logarithms, a whole column at once.
    """

    pairwise = True
    reads_norms = True

    def __init__(
        self, channels: int, *, smoothing: Positive = 0.1, eps: NotNegative = 0.01
    ) -> None:
        super().__init__(channels)
        self.smoothing = smoothing
        self.eps = eps

    def compare(self, task: Task) -> Scores:
        """Score by minus the mean distance to the shots of each class."""
        pairs = self.pair_distances(
            task.query,
            task.support,
            query_norms=task.query_norms,
            support_norms=task.support_norms,
        )
        return Scores(-shot_means(pairs, task.support_labels, way=task.way))

    def pair_distances(
        self,
        query: Float[Tensor, "episodes query query_time channels"],
        support: Float[Tensor, "episodes support support_time channels"],
        *,
        query_norms: Float[Tensor, "episodes query query_time"] | None = None,
        support_norms: Float[Tensor, "episodes support support_time"] | None = None,
    ) -> Float[Tensor, "episodes query support"]:
        """Add the alignment of query to support and that of support to query."""
        frames = cosine_distances(
            query, support, eps=self.eps, query_norms=query_norms, support_norms=support_norms
        )
        forth = aligned_distance(frames, smoothing=self.smoothing)
        return forth + aligned_distance(frames.mT, smoothing=self.smoothing)
