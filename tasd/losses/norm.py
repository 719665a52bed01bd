"""The L2 norm that Eqs 9, 10 and 11 share, and the forms in which it is taken.

The paper prints bare norms of sums. Their size grows with the batch and with the resolution of
the maps, and the root's slope is infinite at zero, which is where training starts: teacher and
student have the same weights. So the default is one root per pair, of the mean over the pair's
elements plus a small epsilon, averaged over the pairs.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

Form = Literal["mean", "sum"]
"""``mean``: roots of per-element means. ``sum``: roots of sums, as printed."""

Root = Literal["pair", "batch"]
"""``pair``: one root per pair, then the mean over pairs. ``batch``: one root over all of them."""

EPSILON = 1e-6
"""Added to the per-element mean. With 1e-12 rounding noise would get gradients of full size."""


def l2_norm(
    squares: Float[Tensor, " pairs"],
    *,
    elements: int,
    form: Form = "mean",
    root: Root = "pair",
    epsilon: float = EPSILON,
) -> Float[Tensor, ""]:
    """Compute the norm of a difference from each pair's sum of squares over its ``elements``.

    With root "batch" and form "sum" the pairs count as one long vector, as in the public code
    of object detection (Zhang and Ma, "Structured Knowledge Distillation for Accurate and
    Efficient Object Detection", TPAMI 2023).
    """
    mean = squares / elements
    if root == "batch":
        mean = mean.mean()
        elements *= len(squares)
    norm = (mean + epsilon).sqrt().mean()
    return norm * elements**0.5 if form == "sum" else norm
