"""Clips compared with a support: scores of its classes, and the nearest of its clips."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import normalize

from tasd.matchers.base import Matcher
from tasd.predict.examples import Examples
from tasd.predict.scores import class_scores
from tasd.types import Features


@dataclass(frozen=True, eq=False)
class Comparison:
    """A matcher and the examples that it compares clips with.

    names: the classes, in the order of the scores.
    """

    matcher: Matcher
    examples: Examples
    names: tuple[str, ...]

    @cached_property
    def support(self) -> Features:
        """The examples as the matcher prepares them, once for all clips."""
        return self.prepared(self.examples.features)

    @cached_property
    def labels(self) -> Int64[Tensor, " support"]:
        """The class of each example, from 0 on."""
        number = {name: position for position, name in enumerate(self.names)}
        labels = [number[name] for name in self.examples.classes]
        return torch.tensor(labels, device=self.examples.features.frames.device)

    def placed(self, features: Features) -> Features:
        """Return features of clips where the examples are, in their precision."""
        frames, maps = self.examples.features.frames, features.maps
        return Features(features.frames.to(frames), None if maps is None else maps.to(frames))

    def prepared(self, features: Features) -> Features:
        """Compute what the matcher needs of each clip, as `tasd.evaluation.score` does."""
        with torch.inference_mode():
            return self.matcher.prepare(features)

    def scores(self, features: Features) -> Float[np.ndarray, "clips classes"]:
        """Return the score of each class for each clip."""
        return class_scores(
            self.matcher,
            self.prepared(self.placed(features)),
            self.support,
            labels=self.labels,
            way=len(self.names),
        )

    def nearest(self, features: Features) -> list[int]:
        """Return the number of the nearest example of each clip.

        Each example is a class of its own under the matcher. A matcher whose scores depend on the
        other classes would change with the number of examples: there it is the cosine of the mean
        features.
        """
        features = self.placed(features)
        if self.matcher.task_level:
            cosines = _directions(features) @ _directions(self.examples.features).mT
            return [int(best) for best in cosines.argmax(dim=1)]
        count = len(self.examples.clips)
        own = torch.arange(count, device=self.labels.device)
        prepared = self.prepared(features)
        scores = class_scores(self.matcher, prepared, self.support, labels=own, way=count)
        return [int(best) for best in scores.argmax(axis=1)]


def _directions(features: Features) -> Float[Tensor, "clips channels"]:
    """The mean features of clips, each of length one."""
    return normalize(features.frames.mean(dim=1), dim=1)
