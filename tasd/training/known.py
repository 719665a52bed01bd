"""All that an episode's labels say, as tensors: the networks are not asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from tasd.episodes import Episode
from tasd.losses.distill import Pairs, same_class_pairs


@dataclass(frozen=True)
class Known:
    """Classes and classmates of an episode's videos.

    classes: the index of each video's class among the training classes, support first.
    classmates: the pairs of one class, the student's query and the teacher's support.
    """

    classes: Int64[Tensor, " videos"]
    classmates: Pairs


def known(episode: Episode, class_index: Mapping[str, int], device: torch.device) -> Known:
    """Return what is known of an episode before any network has run.

    All is found on the host and copied from there: to find it on a GPU the host would wait for the
    work before it.
    """
    pairs = same_class_pairs(
        torch.tensor(episode.query_labels), torch.tensor(episode.support_labels)
    )
    return Known(
        classes=torch.tensor(class_numbers(episode, class_index), device=device),
        classmates=Pairs(pairs.student.to(device), pairs.teacher.to(device)),
    )


def class_numbers(episode: Episode, class_index: Mapping[str, int]) -> list[int]:
    """Return the index of each video's class among the training classes, support first."""
    own = [class_index[name] for name in episode.classes]
    return [own[label] for label in episode.support_labels + episode.query_labels]
