"""The labelling of clips by a few examples of each class."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from prep.ffmpeg_process import find_ffmpeg
from tasd.errors import UserError
from tasd.predict.answer import Answer, Nearest, smallest_margins
from tasd.predict.clips import ClipFeatures, clip_features
from tasd.predict.hub import fetch
from tasd.predict.inputs import (
    InputError,
    clip_paths,
    feature_rows,
    is_features,
    row_names,
)
from tasd.predict.learning import SupportEstimator
from tasd.predict.support import PathLike
from tasd.predict.trained import TrainedNetwork
from tasd.predict.windows import Windows
from tasd.runs.folder import newest
from tasd.types import Features

Own = TypeVar("Own", bound="Labeller")


class Labeller(SupportEstimator):
    """Learns a few clips of each class and labels others, without the contract of scikit-learn.

    The parameters, and the state after `fit`, are described with `FewShotRecognizer`, which adds
    that contract. The commands and the page label with this one, since the import of scikit-learn
    takes a second.
    """

    def __init__(
        self,
        backbone: str | None = None,
        *,
        run: PathLike | None = None,
        weights: str | None = None,
        matcher: str | None = None,
        frames: int | None = None,
        crop: int | None = None,
        reject: bool = False,
        store: PathLike | None = None,
        device: str = "auto",
        cache: bool = True,
    ) -> None:
        self.backbone, self.run, self.weights = backbone, run, weights
        self.matcher, self.frames, self.crop = matcher, frames, crop
        self.reject, self.store, self.device, self.cache = reject, store, device, cache

    @classmethod
    def from_run(cls: type[Own], path: PathLike | None = None, **parameters: Any) -> Own:
        """Take a run's best checkpoint, or an export; by default the newest run.

        parameters: reject, store, device, cache. Raises `UserError` where there is no run.
        """
        return cls(run=newest().path if path is None else path, **parameters)

    @classmethod
    def from_pretrained(
        cls: type[Own], source: PathLike, *, revision: str | None = None, **parameters: Any
    ) -> Own:
        """Take an export: a folder, or the name of a repository of a hub, as ``name/model``.

        A folder of that name goes first. revision: a branch, tag or commit of the repository; a
        commit always gives the same network. parameters: as of `from_run`. Raises `UserError`.
        """
        if str(source) and Path(source).is_dir():
            if revision is not None:
                raise UserError(f"revision={revision!r} is of a repository, and {source} a folder")
            return cls(run=source, **parameters)
        return cls(run=fetch(str(source), revision=revision), **parameters)

    @classmethod
    def from_backbone(cls: type[Own], backbone: str, **parameters: Any) -> Own:
        """Take a pretrained backbone and a matcher without weights of its own; no training."""
        return cls(backbone, **parameters)

    @classmethod
    def on_network(cls: type[Own], network: TrainedNetwork, **parameters: Any) -> Own:
        """Take a network that is open already, on its device, for the parameters that name it."""
        made = cls(**parameters)
        made._given = made._parameters(), network
        return made

    def fit(self: Own, X: Any, y: Any = None) -> Own:
        """Learn the classes from their clips; return the recogniser itself.

        X: a folder ``<class>/<clips>``; a file that `save_support` wrote; the clips of each class;
        or clips or features whose classes are ``y``. Classes may have unequal numbers of clips.

        Raises `UserError` where there are fewer than two classes, or one has no clip that can be
        read.
        """
        self._begin()
        self._learn(X, y, whole=True)
        _ = self.threshold_  # with reject, a support too small for one is told here
        return self

    def partial_fit(self: Own, X: Any, y: Any = None, classes: Any = None) -> Own:
        """Add examples, of classes that are known or new; return the recogniser itself.

        X, y: as of `fit`; one class alone will do until there is a question. A clip that is known
        is read again, and moves to its new class. classes: the only ones allowed in y.

        Raises `UserError`.
        """
        if classes is not None:
            wrong = sorted(set(map(str, np.ravel(y))) - set(map(str, np.ravel(classes))))
            if wrong:
                raise InputError(f"the class {wrong[0]!r} of y is not in classes; add it there")
        if not self.__sklearn_is_fitted__():
            self._begin()
        self._learn(X, y, whole=False)
        return self

    def answers(self, X: Any, *, windows: Windows | None = None) -> Iterator[Answer]:
        """Yield the answers for each clip, in order, as soon as they are known.

        windows: of long videos; each window has an answer. Raises `UserError`.
        """
        self._ready()
        if is_features(X):
            features = feature_rows(self, X, reset=False)
            for name, row in zip(row_names(0, len(features.frames)), features.frames, strict=True):
                yield from self._answered(name, Features(row[None]), [None])
            return
        paths = clip_paths(X)
        found = self._clips(list(dict.fromkeys(paths)), windows)
        answers: dict[Path, list[Answer]] = {}
        for path in paths:  # a path that is given twice is answered twice
            while path not in answers:
                clip = next(found)
                answers[clip.path] = self._of_clip(clip)
            yield from answers[path]

    def suggest(self, X: Any, n: int) -> list[Answer]:
        """Return the answers for the ``n`` clips whose label would help most.

        These are the ones with the smallest `Answer.margin`, smallest first. Clips that cannot be
        read are left out. Raises `UserError`.
        """
        return smallest_margins(self._warned(X), n)

    def _of_clip(self, clip: ClipFeatures) -> list[Answer]:
        """An answer for each view of a clip."""
        if clip.features is None:
            return [Answer(clip.path, {}, problem=clip.problem)]
        spans = [view.span for view in clip.views]
        return self._answered(clip.path, clip.features, spans, note=clip.note)

    def _answered(
        self,
        path: Path,
        features: Features,
        spans: Sequence[tuple[float, float] | None],
        note: str = "",
    ) -> list[Answer]:
        comparison, threshold = self._ready(), self.threshold_
        least = -np.inf if threshold is None else threshold.score
        scores, nearest = comparison.scores(features), comparison.nearest(features)
        return [
            Answer(
                path,
                dict(zip(comparison.names, row.tolist(), strict=True)),
                accepted=bool(row.max() >= least),
                note=note,
                span=span,
                nearest=Nearest(comparison.examples.clips[near], comparison.examples.classes[near]),
            )
            for row, near, span in zip(scores, nearest, spans, strict=True)
        ]

    def _warned(self, X: Any) -> list[Answer]:
        found = list(self.answers(X))
        for answer in found:
            if answer.problem:
                warnings.warn(f"{answer.video}: {answer.problem}", stacklevel=4)
        return found

    def _clips(self, paths: Sequence[Path], windows: Windows | None) -> Iterator[ClipFeatures]:
        """The features of clips, or of their windows."""
        if windows is None:
            return self.features_of(paths, keep=False)
        network = self.network_
        frames = network.config.data.frames
        return clip_features(
            network,
            paths,
            find_ffmpeg(),
            settings=windows.settings(network.frames, frames),
            views_of=windows.views_of(frames),
            limits=windows.limits,
        )
