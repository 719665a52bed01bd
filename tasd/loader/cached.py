"""Batches of cached features, in place of decoded pixels."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from tasd.episodes import View
from tasd.features.store import FeatureStore


class CachedViews:
    """Batches of cached features; each iteration begins at the first batch again.

    Only the positions of a view have an effect, not its crop and flip.

    waited: 0, for nothing is decoded.
    """

    def __init__(
        self, store: FeatureStore, batches: Iterable[Sequence[View]], *, device: torch.device
    ) -> None:
        self.kind = "features"
        self.waited = 0.0
        self._store, self._batches, self._device = store, batches, device

    def __iter__(self) -> Iterator[Float32[Tensor, "views time channels"]]:
        for views in self._batches:
            yield torch.from_numpy(self._store.features_at(views)).to(self._device).float()
