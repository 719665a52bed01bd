"""The recogniser as a classifier of scikit-learn."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from tasd.errors import UserError
from tasd.predict.answer import NONE_OF_THESE, NOT_READ, shares
from tasd.predict.inputs import check_labels, feature_rows, is_features
from tasd.predict.labeller import Labeller


class UnfitError(UserError, NotFittedError):  # type: ignore[misc]
    """A question to an estimator before ``fit``; a ``NotFittedError`` for scikit-learn."""


class FewShotRecognizer(ClassifierMixin, Labeller, BaseEstimator):  # type: ignore[misc]
    """A classifier of clips by a few examples of each class, as scikit-learn has them.

        recognizer = FewShotRecognizer().fit("my-actions")
        labels = recognizer.predict(["new1.mp4", "new2.mp4"])

    X is clips: a path or a list of paths. Or it is features: (clips, channels) or (clips, frames,
    channels), of any origin, which need no network, only a matcher.

    backbone: a pretrained backbone with a matcher without weights of its own; by default
    ``DEFAULT_BACKBONE``. run: a run or an export in its place. weights: of the backbone, a
    published name or a file. matcher: by default bimhm. frames: sampled from each clip, by default
    8. crop: side in pixels, by default the one that the weights were trained at. reject: answer
    "none of these" below a threshold. store: the one that the run was trained on, where it is not
    found under $TASD_HOME. device: auto, cpu, cuda or cuda:N. cache: keep the features of support
    clips in files.

    After `fit`: classes_: the classes, sorted. support_: the clips of each class that could be
    read. problems_: the reason for each of the others. cache_hits_: number of support clips
    with cached features. n_features_in_: channels, where it was fit on features. network_: the
    network that features come from. threshold_: the least score to accept a class, with reject.
    """

    _unfit = UnfitError

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each clip, in the type of ``classes_`` where all have one.

        Where a clip cannot be read, `NOT_READ` stands in an array of objects, with a warning that
        gives the reason; with reject, `NONE_OF_THESE` where no class is accepted.
        """
        scores = self._scores(X)
        read = ~np.isnan(scores[:, 0])
        best = np.where(read, scores.argmax(axis=1), 0)
        labels: np.ndarray = self.classes_[best]
        threshold = self.threshold_
        least = -np.inf if threshold is None else threshold.score
        rejected = read & (np.where(read, scores.max(axis=1), np.inf) < least)
        if rejected.any() or not read.all():
            labels = labels.astype(object)
            labels[rejected], labels[~read] = NONE_OF_THESE, NOT_READ
        return labels

    def decision_function(self, X: Any) -> Float[np.ndarray, "*scores"]:
        """Return the score of each class, in the order of ``classes_``; NaN where unreadable.

        Of two classes it is one number a clip, as scikit-learn has it: the score of the second
        minus that of the first.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: Any) -> Float[np.ndarray, "clips classes"]:
        """Return the share of each class, in the order of ``classes_``; NaN where unreadable."""
        return shares(self._scores(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of clips with the right label; an unreadable clip counts as wrong."""
        predicted = self.predict(X)
        truth = check_labels(y, count=len(predicted))
        right = [label == true for label, true in zip(predicted, truth, strict=True)]
        return float(np.average(right, weights=sample_weight))

    def _scores(self, X: Any) -> Float[np.ndarray, "clips classes"]:
        """The score of each class, NaN where a clip cannot be read."""
        self._ready()
        if is_features(X):
            return self._ready().scores(feature_rows(self, X, reset=False))
        names, found = self._ready().names, self._warned(X)
        rows = [[answer.scores.get(name, np.nan) for name in names] for answer in found]
        return np.array(rows, np.float64).reshape(len(rows), len(names))
