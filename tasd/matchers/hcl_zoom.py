"""The zoom-in matching of HCL: whole videos, then their clips, then patches of the best clips."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tasd.matchers.arithmetic import frame_tuples

# Memory of the patches that are compared at a time.
CHUNK_BYTES = 64 << 20


@dataclass(frozen=True)
class Descriptors:
    """Three levels of descriptors of the videos of some episodes.

    clips: of every pair of frames a < b, in lexicographic order. patches: of every place of every
    frame. whole: the mean of the patches.
    """

    clips: Float[Tensor, "episodes videos clips width"]
    patches: Float[Tensor, "episodes videos time places width"]
    whole: Float[Tensor, "episodes videos width"]


@dataclass(frozen=True)
class Matched:
    """The clips of each pair of videos x, y that match best, from the best on.

    own: numbers of clips of x. partner: for each the number of the most similar clip of y.
    """

    own: Int64[Tensor, "episodes x y top"]
    partner: Int64[Tensor, "episodes x y top"]


@dataclass(frozen=True)
class Similarities:
    """Of all pairs of videos x, y, on three levels, from x to y. matched: the clips behind them."""

    whole: Float[Tensor, "episodes x y"]
    clips: Float[Tensor, "episodes x y"]
    patches: Float[Tensor, "episodes x y"]
    matched: Matched


def similarities(
    x: Descriptors, y: Descriptors, *, top_clips: int, top_patches: int, zoom: int
) -> Similarities:
    """Compare every video of x with every video of y.

    The ``top_clips`` clips of x with the most similar partners in y count; so do, in the frames of
    the best ``zoom`` of them, the ``top_patches`` patches with the most similar partners. On each
    level the similarity is the product of two means, that of the chosen of x and that of their
    partners. The choice has no gradient.
    """
    matched = matched_clips(x.clips, y.clips, top=top_clips)
    own, partner = (_shares(each, x.clips.shape[2], x.clips) for each in _both(matched))
    of_patches = zoomed(x.patches, y.patches, matched, keep=top_patches, zoom=zoom)
    return Similarities(
        whole=x.whole @ y.whole.mT,
        clips=_agreement(own, x.clips, partner, y.clips),
        patches=_agreement(
            of_patches[0], x.patches.flatten(2, 3), of_patches[1], y.patches.flatten(2, 3)
        ),
        matched=matched,
    )


def _both(matched: Matched) -> tuple[Tensor, Tensor]:
    return matched.own, matched.partner


@torch.no_grad()
def matched_clips(
    x: Float[Tensor, "episodes x clips width"],
    y: Float[Tensor, "episodes y clips width"],
    *,
    top: int,
) -> Matched:
    """Find the clips of each x whose most similar clip in y is the most similar."""
    products = (x.flatten(1, 2) @ y.flatten(1, 2).mT).reshape(*x.shape[:3], *y.shape[1:3])
    best = products.transpose(2, 3).max(dim=4)  # (episodes, x, y, clips of x)
    own = best.values.topk(min(top, x.shape[2]), dim=3).indices
    return Matched(own, best.indices.gather(3, own))


@torch.no_grad()
def zoomed(
    x: Float[Tensor, "episodes x time places width"],
    y: Float[Tensor, "episodes y time places width"],
    matched: Matched,
    *,
    keep: int,
    zoom: int,
) -> tuple[Float[Tensor, "episodes x y patches"], Float[Tensor, "episodes x y patches"]]:
    """Return how often each patch of x is chosen, and of y as its partner, as shares of 1.

    A few pairs of videos at a time: see `CHUNK_BYTES`.
    """
    time, places, width = x.shape[2:]
    lead = matched.own.shape[:3]
    pairs = torch.cartesian_prod(*(torch.arange(size, device=x.device) for size in lead))
    clips = [each[..., :zoom].flatten(0, 2) for each in _both(matched)]
    frames = frame_tuples(time, 2, like=x)
    each_bytes = x.element_size() * clips[0].shape[1] * 4 * places * (width + places)
    found = []
    for chunk in torch.arange(len(pairs), device=x.device).split(max(1, CHUNK_BYTES // each_bytes)):
        episode, one, other = (part[:, None, None] for part in pairs[chunk].unbind(1))
        of_x, of_y = (frames[part[chunk]] for part in clips)  # (pairs, zoom, 2 frames)
        own, partner = _best_patches(x[episode, one, of_x], y[episode, other, of_y], keep=keep)
        both = (_tokens(own, of_x, places), _tokens(partner, of_y, places))
        found.append([_shares(tokens, time * places, x) for tokens in both])
    own, partner = (torch.cat(parts).unflatten(0, lead) for parts in zip(*found, strict=True))
    return own, partner


def _best_patches(
    x: Float[Tensor, "pairs zoom two places width"],
    y: Float[Tensor, "pairs zoom two places width"],
    *,
    keep: int,
) -> tuple[Int64[Tensor, "pairs zoom kept"], Int64[Tensor, "pairs zoom kept"]]:
    """Choose the patches of x with the most similar partners in y, and these partners."""
    best = (x.flatten(2, 3) @ y.flatten(2, 3).mT).max(dim=3)
    own = best.values.topk(min(keep, best.values.shape[2]), dim=2).indices
    return own, best.indices.gather(2, own)


def _tokens(
    chosen: Int64[Tensor, "pairs zoom kept"], frames: Int64[Tensor, "pairs zoom 2"], places: int
) -> Int64[Tensor, "pairs all_kept"]:
    """Turn numbers within the two frames of a clip into numbers within the video."""
    return (frames.gather(2, chosen // places) * places + chosen % places).flatten(1)


def _shares(
    chosen: Int64[Tensor, "*lead kept"], count: int, like: Tensor
) -> Float[Tensor, "*lead count"]:
    """Count how often each of ``count`` was chosen, as shares of 1."""
    zeros = like.new_zeros(*chosen.shape[:-1], count)
    each = like.new_full((), 1 / chosen.shape[-1]).expand(chosen.shape)
    return zeros.scatter_add_(-1, chosen, each)


def _agreement(
    own: Float[Tensor, "episodes x y items"],
    x: Float[Tensor, "episodes x items width"],
    partner: Float[Tensor, "episodes x y items"],
    y: Float[Tensor, "episodes y items width"],
) -> Float[Tensor, "episodes x y"]:
    """Compute the product of the mean of the chosen items with that of their partners."""
    mean_x = own @ x
    mean_y = (partner.transpose(1, 2) @ y).transpose(1, 2)
    return (mean_x * mean_y).sum(dim=3)
