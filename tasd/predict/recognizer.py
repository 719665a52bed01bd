"""The recogniser, which is fit on a few clips of each class and labels new ones."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from prep.ffmpeg_process import find_ffmpeg
from tasd.device import pick_device
from tasd.errors import UserError
from tasd.predict.answer import Answer
from tasd.predict.cache import support_features
from tasd.predict.choice import open_trained
from tasd.predict.clips import ClipFeatures, clip_features, whole_clip
from tasd.predict.leave_one_out import threshold_of_support
from tasd.predict.reject import threshold_for
from tasd.predict.scores import class_scores, concatenated
from tasd.predict.support import PathLike, Support, support_clips
from tasd.predict.trained import UNTRAINED, Threshold, TrainedNetwork, on_device
from tasd.predict.untrained import untrained_network
from tasd.predict.windows import Windows
from tasd.types import Features


class FewShotRecognizer:
    """A classifier of clips by a few examples of each class, with scikit-learn's interface.

        recognizer = FewShotRecognizer.from_run("runs/mine").fit("my-actions")
        labels = recognizer.predict(["new1.mp4", "new2.mp4"])

    After `fit`: classes_: the class names, sorted. support_: the clips of each class that could
    be read. problems_: the reason for each of the others. cache_hits_: number of support
    clips with cached features. threshold_: the least score to accept a class, with ``reject``.
    """

    classes_: tuple[str, ...]
    support_: dict[str, tuple[Path, ...]]
    problems_: dict[str, str]
    cache_hits_: int
    threshold_: Threshold | None

    def __init__(
        self,
        trained: TrainedNetwork,
        *,
        reject: bool = False,
        store: Path | None = None,
        device: str = "auto",
        cache: bool = True,
    ) -> None:
        self.trained = on_device(trained, pick_device(device))
        self.reject, self.store, self.cache = reject, store, cache
        self.tool = find_ffmpeg()

    @classmethod
    def from_run(
        cls,
        path: PathLike | None = None,
        *,
        reject: bool = False,
        store: PathLike | None = None,
        device: str = "auto",
        cache: bool = True,
    ) -> "FewShotRecognizer":
        """Open a run's best checkpoint, or an export; by default the newest run.

        reject: answer "none of these" below a threshold, which is found on the validation classes
        of the run's store and kept in the run. store: the one that the run was trained on, where
        it is not found under $TASD_HOME; it is read once, to learn how the frames were made.
        cache: keep the features of support clips.

        Raises `UserError`.
        """
        store = None if store is None else Path(store)
        trained = open_trained(None if path is None else Path(path), store=store)
        return cls(trained, reject=reject, store=store, device=device, cache=cache)

    @classmethod
    def from_backbone(
        cls,
        backbone: str,
        *,
        weights: str = "imagenet",
        matcher: str = "bimhm",
        frames: int = 8,
        crop: int | None = None,
        reject: bool = False,
        device: str = "auto",
        cache: bool = True,
    ) -> "FewShotRecognizer":
        """Take a pretrained backbone and a matcher without weights of its own; no training.

        weights: a published name or a file. frames: sampled from each clip. crop: side in pixels,
        by default the one that the weights were trained at. reject: answer "none of these" below
        a threshold, which is found on the support.

        Raises `UserError`.
        """
        network = untrained_network(
            backbone, weights=weights, matcher=matcher, frames=frames, crop=crop
        )
        return cls(network, reject=reject, device=device, cache=cache)

    def fit(self, support: Support, labels: Sequence[str] | None = None) -> "FewShotRecognizer":
        """Learn the classes from their clips; return the recogniser itself.

        support: a folder ``<class>/<clips>``, or the clips of each class, or clips whose classes
        are ``labels``. Classes may have unequal numbers of clips.

        Raises `UserError` where there are fewer than two classes, or one has no clip that can be
        read.
        """
        clips, self.problems_ = support_clips(support, labels)
        if len(clips) < 2:
            raise UserError(
                f"the support has {len(clips)} class ({', '.join(clips)}); it must have two "
                "classes or more, each with a clip or more"
            )
        found = support_features(self.trained, clips, self.tool, keep=self.cache)
        features, self.cache_hits_ = found.features, found.cache_hits
        self.problems_ |= found.problems
        support_ = {name: tuple(p for p in clips[name] if p in features) for name in sorted(clips)}
        for name, readable in support_.items():
            if not readable:
                reasons = [f"{path}: {self.problems_[str(path)]}" for path in clips[name][:1]]
                raise UserError(
                    f"no clip of the class {name!r} can be read ({(reasons or ['it has none'])[0]}"
                    "); add a clip that can be read, or leave out the class"
                )
        self.classes_, self.support_ = tuple(support_), support_
        in_order = [features[path] for paths in support_.values() for path in paths]
        self._support = concatenated([self._prepared(of_clip) for of_clip in in_order])
        self.threshold_ = None
        if self.reject and self.trained.network == UNTRAINED:
            matcher = self.trained.model.matcher
            self.threshold_ = threshold_of_support(matcher, self._support, labels=self._labels)
        elif self.reject:
            shot = round(len(in_order) / len(clips))
            self.trained, self.threshold_ = threshold_for(
                self.trained, way=len(clips), shot=shot, store=self.store
            )
        return self

    def answers(
        self, videos: Sequence[PathLike], *, windows: Windows | None = None
    ) -> Iterator[Answer]:
        """Yield the answers for each clip, in order, as soon as they are known.

        windows: of long videos; each window has an answer.
        """
        self._check_fit()
        paths, trained = [Path(video) for video in videos], self.trained
        frames = trained.config.data.frames
        distinct = list(dict.fromkeys(paths))
        if windows is None:
            features = clip_features(
                trained, distinct, self.tool, settings=trained.frames, views_of=whole_clip(frames)
            )
        else:
            features = clip_features(
                trained,
                distinct,
                self.tool,
                settings=windows.settings(trained.frames, frames),
                views_of=windows.views_of(frames),
                limits=windows.limits,
            )
        answers: dict[Path, list[Answer]] = {}
        for path in paths:  # a path that is given twice is answered twice
            while path not in answers:
                clip = next(features)
                answers[clip.path] = self._of_clip(clip)
            yield from answers[path]

    def predict(self, videos: Sequence[PathLike]) -> list[str | None]:
        """Return the class of each clip.

        None for a clip that cannot be read, with a warning that gives the reason.
        """
        return [answer.label for answer in self._warned(videos)]

    def decision_function(self, videos: Sequence[PathLike]) -> Float[np.ndarray, "videos classes"]:
        """Return the score of each class, in the order of ``classes_``; NaN where unreadable."""
        return self._table([answer.scores for answer in self._warned(videos)])

    def predict_proba(self, videos: Sequence[PathLike]) -> Float[np.ndarray, "videos classes"]:
        """Return the share of each class, in the order of ``classes_``; NaN where unreadable."""
        found = self._warned(videos)
        return self._table([answer.probabilities if answer.scores else {} for answer in found])

    def score(self, videos: Sequence[PathLike], labels: Sequence[str]) -> float:
        """Return the share of clips with the right label; an unreadable clip counts as wrong."""
        pairs = zip(self.predict(videos), labels, strict=True)
        return float(np.mean([predicted == label for predicted, label in pairs]))

    def _of_clip(self, clip: ClipFeatures) -> list[Answer]:
        """An answer for each view of a clip."""
        if clip.features is None:
            return [Answer(clip.path, {}, problem=clip.problem)]
        scores = self._scores(clip.features)
        least = -np.inf if self.threshold_ is None else self.threshold_.score
        return [
            Answer(
                clip.path,
                dict(zip(self.classes_, row.tolist(), strict=True)),
                accepted=bool(row.max() >= least),
                note=clip.note,
                span=view.span,
            )
            for row, view in zip(scores, clip.views, strict=True)
        ]

    def _scores(self, features: Features) -> Float[np.ndarray, "views classes"]:
        return class_scores(
            self.trained.model.matcher,
            self._prepared(features),
            self._support,
            labels=self._labels,
            way=len(self.classes_),
        )

    @property
    def _labels(self) -> Int64[Tensor, " support"]:
        counts = torch.tensor([len(paths) for paths in self.support_.values()])
        return torch.arange(len(counts)).repeat_interleave(counts).to(self._support.frames.device)

    def _prepared(self, features: Features) -> Features:
        """Compute what the matcher needs of each clip, as `tasd.evaluation.score` does."""
        with torch.inference_mode():
            return self.trained.model.matcher.prepare(features)

    def _warned(self, videos: Sequence[PathLike]) -> list[Answer]:
        found = list(self.answers(videos))
        for answer in found:
            if answer.problem:
                warnings.warn(f"{answer.video}: {answer.problem}", stacklevel=3)
        return found

    def _table(self, rows: Sequence[Mapping[str, float]]) -> Float[np.ndarray, "videos classes"]:
        values = [[row.get(name, np.nan) for name in self.classes_] for row in rows]
        return np.array(values, np.float64).reshape(len(rows), len(self.classes_))

    def _check_fit(self) -> None:
        if not hasattr(self, "classes_"):
            raise UserError("this recogniser knows no classes yet; call fit(support) first")
