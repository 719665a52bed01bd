"""The features of clips as a transformer of scikit-learn."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from tasd.predict.estimator import POOLS, ClipEstimator
from tasd.predict.support import PathLike
from tasd.registry import pick


class ClipEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClipEstimator, BaseEstimator):  # type: ignore[misc]
    """A transformer from clips to features, for the pipelines of scikit-learn.

        make_pipeline(ClipEmbedder(), LogisticRegression()).fit(paths, labels)

    backbone, run, weights, frames, crop, store, device, cache: as of `FewShotRecognizer`.
    pool: "mean" gives a vector a clip, "frames" all frames, as `FewShotRecognizer` takes them too.
    """

    def __init__(
        self,
        backbone: str | None = None,
        *,
        run: PathLike | None = None,
        weights: str | None = None,
        frames: int | None = None,
        crop: int | None = None,
        pool: str = "mean",
        store: PathLike | None = None,
        device: str = "auto",
        cache: bool = True,
    ) -> None:
        self.backbone, self.run, self.weights = backbone, run, weights
        self.frames, self.crop, self.pool = frames, crop, pool
        self.store, self.device, self.cache = store, device, cache

    def fit(self, X: Any = None, y: Any = None) -> "ClipEmbedder":
        """Open the network; nothing is learnt from X or y. Raises `UserError`."""
        pick(POOLS, self.pool, what="pool")
        self.__dict__.pop("_expected", None)
        self._network = self._open()
        self._n_features_out = self._network.model.matcher.channels
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of clips, see `embed`. Raises `UserError`."""
        return self.embed(X, self.pool)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_n_features_out")
