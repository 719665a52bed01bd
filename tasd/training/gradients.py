"""The norm of each term's gradient, to see what drives training."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from tasd.types import Features


def gradient_norms(
    terms: Mapping[str, Float[Tensor, ""]], features: Features
) -> dict[str, dict[str, Float[Tensor, ""]]]:
    """Compute the norm of each term's gradient at A ("maps") and F ("frames").

    At A and F and not over all parameters, so that it costs no pass through the backbone. There are
    none where nothing before A and F is trained.
    """
    places = {"frames": features.frames, "maps": features.maps}
    at = {place: x for place, x in places.items() if x is not None and x.requires_grad}
    if not at:
        return {}
    found: dict[str, dict[str, Tensor]] = {}
    for name, term in terms.items():
        gradients = torch.autograd.grad(
            term, list(at.values()), retain_graph=True, allow_unused=True
        )
        found[name] = {
            place: term.new_zeros(()) if gradient is None else gradient.float().norm()
            for place, gradient in zip(at, gradients, strict=True)
        }
    return found
