"""In place of pixels: the features that a frozen network gave of them, looked up."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from tasd.episodes import View
from tasd.features.store import FeatureStore


class CachedViews:
    """Batches of views of cached features; each iteration begins at the first again.

    Of a view only its positions count: crop and flip were chosen when the features were made.
    """

    def __init__(
        self, store: FeatureStore, batches: Iterable[Sequence[View]], *, device: torch.device
    ) -> None:
        self.kind = "features"
        self.waited = 0.0  # nothing is decoded
        self._store, self._batches, self._device = store, batches, device

    def __iter__(self) -> Iterator[Float32[Tensor, "views time channels"]]:
        for views in self._batches:
            yield torch.from_numpy(self._store.looked_at(views)).to(self._device).float()
