"""The network behind the page: it reads clips, keeps examples and answers. For one thread."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from prep.ffmpeg_process import find_ffmpeg
from tasd.device import pick_device
from tasd.errors import UserError
from tasd.predict.answer import Answer
from tasd.predict.clips import ClipFeatures, ClipView, ViewsOf, clip_features, whole_clip
from tasd.predict.leave_one_out import FEWEST_CLASSES, FEWEST_CLIPS, threshold_of_support
from tasd.predict.reject import threshold_for
from tasd.predict.scores import class_scores, concatenated
from tasd.predict.thumbnails import Thumbnail, with_thumbnails
from tasd.predict.trained import UNTRAINED, Threshold, TrainedNetwork, on_device
from tasd.predict.windows import Windows
from tasd.store import Store
from tasd.types import Features

MOST_WINDOWS = 1000


@dataclass(frozen=True)
class Reading:
    """A clip as the network read it.

    clip: its features, or the problem. pictures: the frames that were read; of each window only
    the one in its middle.
    """

    clip: ClipFeatures
    pictures: tuple[Thumbnail, ...] = ()


@dataclass(frozen=True)
class Told:
    """An answer, and the path of the nearest example."""

    answer: Answer
    nearest: Path


class Engine:
    """A network and its examples, which come and go without a new fit.

    rejection: the threshold for "none of these" in a sentence, or the reason for having none.
    """

    def __init__(
        self, network: TrainedNetwork, *, device: str = "auto", store: Path | None = None
    ) -> None:
        self.network = on_device(network, pick_device(device))
        self.tool = find_ffmpeg()
        self.rejection = ""
        self._store = store
        self._features: dict[Path, Features] = {}
        self._classes: dict[Path, str] = {}
        self._threshold: Threshold | None = None

    @property
    def frames(self) -> int:
        """The number of frames that the network reads of a clip."""
        return self.network.config.data.frames

    def read(self, path: Path, windows: Windows | None = None) -> Reading:
        """Decode a clip once, for its features and its thumbnails."""
        taken: list[Thumbnail] = []

        def take(views: tuple[ClipView, ...], pictures: list[list[Thumbnail]]) -> None:
            taken.extend(picture for of_view in pictures for picture in of_view)

        network, frames = self.network, self.frames
        settings, views_of = network.frames, whole_clip(frames)
        if windows is not None:
            settings = windows.settings(network.frames, frames)
            views_of = _at_most(windows.views_of(frames), windows)
        crop = network.config.data.crop
        views_of = with_thumbnails(views_of, take, crop=crop, middle=windows is not None)
        (clip,) = clip_features(
            network,
            [path],
            self.tool,
            settings=settings,
            views_of=views_of,
            limits=None if windows is None else windows.limits,
        )
        return Reading(clip, tuple(taken))

    def learn(self, path: Path, features: Features) -> None:
        """Keep what the matcher needs of a clip that may be an example."""
        with torch.inference_mode():
            self._features[path] = self.network.model.matcher.prepare(features)

    def use(self, examples: Mapping[Path, str]) -> None:
        """Set the examples and their classes, all learnt before; others are forgotten."""
        if examples == self._classes:
            return
        self._features = {path: self._features[path] for path in examples}
        self._classes = dict(sorted(examples.items(), key=lambda pair: pair[1]))
        self._find_threshold()

    def answers(self, clip: ClipFeatures) -> list[Told]:
        """Answer for each view of a clip that was read; needs examples of two classes or more."""
        assert clip.features is not None
        with torch.inference_mode():
            asked = self.network.model.matcher.prepare(clip.features)
        paths, names = list(self._classes), self._names
        scores = self._scores(asked, self._labels, len(names))
        alone = torch.arange(len(paths), device=self._labels.device)
        nearest = self._scores(asked, alone, len(paths)).argmax(axis=1)
        least = -np.inf if self._threshold is None else self._threshold.score
        return [
            Told(
                Answer(
                    clip.path,
                    dict(zip(names, row.tolist(), strict=True)),
                    accepted=bool(row.max() >= least),
                    note=clip.note,
                    span=view.span,
                ),
                paths[near],
            )
            for row, near, view in zip(scores, nearest, clip.views, strict=True)
        ]

    @property
    def _names(self) -> list[str]:
        return list(dict.fromkeys(self._classes.values()))

    @property
    def _labels(self) -> Int64[Tensor, " examples"]:
        place = {name: number for number, name in enumerate(self._names)}
        labels = torch.tensor([place[name] for name in self._classes.values()])
        return labels.to(self.network.model.mean.device)

    @property
    def _support(self) -> Features:
        return concatenated([self._features[path] for path in self._classes])

    def _scores(
        self, asked: Features, labels: Int64[Tensor, " examples"], way: int
    ) -> Float[np.ndarray, "views classes"]:
        matcher = self.network.model.matcher
        return class_scores(matcher, asked, self._support, labels=labels, way=way)

    def _find_threshold(self) -> None:
        """Find the threshold where the examples allow one; `rejection` says which, or why not."""
        counts = [list(self._classes.values()).count(name) for name in self._names]
        self._threshold, self.rejection = None, ""
        if len(counts) < 2:
            return
        try:
            self._threshold = self._threshold_of(counts)
        except UserError as error:
            self.rejection = str(error)
        else:
            self.rejection = _in_words(self._threshold)

    def _threshold_of(self, counts: list[int]) -> Threshold:
        if self.network.network != UNTRAINED:
            shot = round(sum(counts) / len(counts))
            self.network, found = threshold_for(
                self.network, way=len(counts), shot=shot, store=self._store
            )
            return found
        if len(counts) < FEWEST_CLASSES or min(counts) < FEWEST_CLIPS:
            raise UserError(
                f"needs {FEWEST_CLASSES} classes or more with {FEWEST_CLIPS} clips or more each"
            )
        matcher = self.network.model.matcher
        return threshold_of_support(matcher, self._support, labels=self._labels)

    @property
    def rejects(self) -> bool:
        """True where the answer may be none of these."""
        return self._threshold is not None


def _in_words(threshold: Threshold) -> str:
    """Tell how far the threshold can be relied on."""
    where = "on validation classes" if threshold.episodes else "on your examples, left out in turn"
    return (
        f"it turns away {1 - threshold.true_accept:.0%} of clips of these actions and "
        f"{1 - threshold.false_accept:.0%} of clips of other actions ({where})"
    )


def _at_most(views_of: ViewsOf, windows: Windows) -> ViewsOf:
    """Refuse videos of more than `MOST_WINDOWS` windows."""

    def views(store: Store, clip: str) -> tuple[ClipView, ...]:
        found = views_of(store, clip)
        if len(found) > MOST_WINDOWS:
            raise UserError(
                f"it has {len(found)} windows of {windows.length:g} seconds, and {MOST_WINDOWS} "
                "are the most; take longer windows"
            )
        return found

    return views
