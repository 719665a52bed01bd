"""The contrastive and the cycle losses of HCL, over the videos of a class in an episode."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from tasd.matchers.arithmetic import frame_tuples
from tasd.matchers.hcl_zoom import Descriptors, Matched


def partners(
    support_labels: Int64[Tensor, "episodes support"], query_labels: Int64[Tensor, "episodes query"]
) -> Bool[Tensor, "episodes videos videos"]:
    """Mark the pairs of a query and a support of its class, in both directions."""
    labels = torch.cat([support_labels, query_labels], dim=1)
    asked = torch.zeros_like(labels, dtype=torch.bool)
    asked[:, support_labels.shape[1] :] = True
    alike = labels[:, :, None] == labels[:, None]
    return alike & (asked[:, :, None] != asked[:, None])


def contrast(
    sims: Float[Tensor, "episodes videos videos"],
    positive: Bool[Tensor, "episodes videos videos"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Average -log(exp(s_ip / t) / sum over j != i of exp(s_ij / t)) over the positive pairs i, p.

    The published code multiplies a video's similarity to itself by 0, so that it adds exp(0) to
    the sum. Here it is left out.
    """
    itself = torch.eye(sims.shape[1], dtype=torch.bool, device=sims.device)
    shares = (sims / temperature).masked_fill(itself, -torch.inf).log_softmax(dim=2)
    return -shares[positive].mean()


def cycle(
    x: Float[Tensor, "pairs items width"],
    y: Float[Tensor, "pairs items width"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Average the cross-entropy of going from each item of x to y and back to the same item.

    On the way there the softmax over y has no temperature, as in the published code.
    """
    there = (x @ y.mT).softmax(dim=2) @ y
    back = there @ x.mT / temperature
    items = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
    return functional.cross_entropy(back.flatten(0, 1), items.flatten())


def temporal_cycle(
    videos: Descriptors,
    positive: Bool[Tensor, "episodes videos videos"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Compute the cycle between the clips of each positive pair of videos."""
    episode, one, other = positive.nonzero(as_tuple=True)
    x, y = videos.clips[episode, one], videos.clips[episode, other]
    return cycle(x, y, temperature=temperature)


def spatial_cycle(
    videos: Descriptors,
    matched: Matched,
    positive: Bool[Tensor, "episodes videos videos"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Compute the cycle between the patches of the best pair of clips of each positive pair."""
    episode, one, other = positive.nonzero(as_tuple=True)
    frames = frame_tuples(videos.patches.shape[2], 2, like=videos.patches)
    x, y = (
        videos.patches[episode[:, None], video[:, None], frames[clips[positive][:, 0]]].flatten(
            1, 2
        )
        for video, clips in ((one, matched.own), (other, matched.partner))
    )
    return cycle(x, y, temperature=temperature)
