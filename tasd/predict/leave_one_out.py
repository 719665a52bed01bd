"""A threshold for "none of these" from the support alone, for a network without training.

There are no validation classes. Each support clip is compared with the support without it, and
should be accepted; and with the support without its whole class, where it should be rejected.
"""

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from tasd.errors import UserError
from tasd.matchers.base import Matcher
from tasd.predict.reject import least_accepted
from tasd.predict.scores import class_scores
from tasd.predict.trained import Threshold
from tasd.types import Features

FEWEST_CLASSES, FEWEST_CLIPS = 3, 2


def threshold_of_support(
    matcher: Matcher, support: Features, *, labels: Int64[Tensor, " support"]
) -> Threshold:
    """Find the threshold that 95 of 100 support clips reach, each left out in turn.

    support: as `Matcher.prepare` returned it. labels: the class of each clip, from 0 on.

    Raises `UserError` where there are fewer than three classes, or fewer than two clips in one.
    """
    counts = torch.bincount(labels).tolist()
    if len(counts) < FEWEST_CLASSES or min(counts) < FEWEST_CLIPS:
        raise UserError(
            f"--reject without training needs a support of {FEWEST_CLASSES} classes or more with "
            f"{FEWEST_CLIPS} clips or more each, and this one has {len(counts)} classes of "
            f"{min(counts)} or more; add clips, or leave out --reject"
        )
    clips = torch.arange(len(labels), device=labels.device)
    inside = np.concatenate(
        [_best(matcher, support, labels, asked=clips == clip, left=clips != clip) for clip in clips]
    )
    classes = range(len(counts))
    outside = np.concatenate(
        [_best(matcher, support, labels, asked=labels == c, left=labels != c) for c in classes]
    )
    least = least_accepted(inside)
    return Threshold(
        way=len(counts),
        shot=round(len(labels) / len(counts)),
        score=least,
        true_accept=float((inside >= least).mean()),
        false_accept=float((outside >= least).mean()),
        episodes=0,
        classes=len(counts),
        fewest=min(counts),
    )


def _best(
    matcher: Matcher,
    support: Features,
    labels: Int64[Tensor, " support"],
    *,
    asked: Bool[Tensor, " support"],
    left: Bool[Tensor, " support"],
) -> np.ndarray:
    """The score of the best class of the clips that are left, for each clip that is asked about."""
    names, renumbered = labels[left].unique(return_inverse=True)
    scores = class_scores(
        matcher, _of(support, asked), _of(support, left), labels=renumbered, way=len(names)
    )
    best: np.ndarray = scores.max(axis=1)
    return best


def _of(features: Features, chosen: Bool[Tensor, " videos"]) -> Features:
    maps = None if features.maps is None else features.maps[chosen]
    return Features(features.frames[chosen], maps)
