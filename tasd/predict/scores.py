"""Scores of clips against the classes of a support."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tasd.matchers.base import Matcher
from tasd.types import Features, Task

QUERIES_PER_TASK = 16


def class_scores(
    matcher: Matcher,
    queries: Features,
    support: Features,
    *,
    labels: Int64[Tensor, " support"],
    way: int,
) -> Float[np.ndarray, "queries classes"]:
    """Return the scores of each query; a transductive matcher compares one query at a time.

    queries, support: as `Matcher.prepare` returned them. labels: the class of each support clip,
    from 0 to ``way`` - 1.
    """
    size = 1 if matcher.transductive else QUERIES_PER_TASK
    found = []
    for start in range(0, len(queries.frames), size):
        maps = None if queries.maps is None else queries.maps[None, start : start + size]
        with torch.inference_mode():
            task = Task(
                way=way,
                support=support.frames[None],
                query=queries.frames[None, start : start + size],
                support_labels=labels[None],
                support_maps=None if support.maps is None else support.maps[None],
                query_maps=maps,
            )
            found.append(matcher.compare(task).logits[0].double())
    return torch.cat(found).cpu().numpy()


def concatenated(parts: Sequence[Features]) -> Features:
    """Join the features of several clips."""
    maps = [part.maps for part in parts if part.maps is not None]
    frames = torch.cat([part.frames for part in parts])
    return Features(frames, torch.cat(maps) if maps else None)
