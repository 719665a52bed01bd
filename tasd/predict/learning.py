"""The part of the recogniser that learns: examples come, move and go, and nothing is refit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from tasd.device import pick_device
from tasd.errors import UserError
from tasd.predict.comparison import Comparison
from tasd.predict.estimator import ClipEstimator
from tasd.predict.examples import Examples, joined
from tasd.predict.inputs import InputError, clip_paths
from tasd.predict.leave_one_out import threshold_of_support
from tasd.predict.opened import check_parameters
from tasd.predict.reading import Learnt, check_two, read_examples
from tasd.predict.reject import threshold_for
from tasd.predict.support import PathLike
from tasd.predict.support_file import write_support
from tasd.predict.trained import UNTRAINED, Threshold
from tasd.predict.untrained import bare_matcher

Own = TypeVar("Own", bound="SupportEstimator")


class SupportEstimator(ClipEstimator):
    """An estimator with a support: examples of classes, which come and go one by one.

    The state after `fit` is described with `tasd.predict.FewShotRecognizer`.
    """

    matcher: str | None
    reject: bool
    classes_: np.ndarray
    problems_: dict[str, str]
    cache_hits_: int
    _comparison: Comparison | None
    _examples: Examples | None
    _labels: dict[str, Any]
    _of_network: bool
    _unfit: ClassVar[type[UserError]] = UserError

    def _begin(self) -> None:
        """Forget all that was learnt, and open what the parameters name."""
        check_parameters(self._parameters())
        for name in ("_expected", "_network", "n_features_in_", "feature_names_in_", "_threshold"):
            self.__dict__.pop(name, None)
        self.problems_, self.cache_hits_ = {}, 0
        self._labels, self._of_network = {}, False
        self._examples = None

    def _learn(self, X: Any, y: Any, *, whole: bool) -> None:
        """Add the examples of X and y; a clip that is known moves to its new class."""
        before = self._examples
        start = 0 if before is None else len(before.clips)
        new = read_examples(self, X, y, whole=whole, start=start)
        self.problems_ |= new.problems
        self.cache_hits_ += new.cache_hits
        if new.examples is None:
            reason = next((f"{clip}: {why}" for clip, why in new.problems.items()), "no clip")
            raise UserError(f"no clip can be learnt ({reason}); name clips that can be read")
        if before is not None:
            before = before.without(clips=new.examples.clips)
        if before is not None:
            _check_alike(before, new)
        self._examples = new.examples if before is None else joined([before, new.examples])
        self._of_network |= new.of_network
        self._labels = {**self._labels, **new.labels}
        self._settle()

    def _settle(self) -> None:
        """Derive all that follows from the examples."""
        self.__dict__.pop("_threshold", None)
        there = set() if self._examples is None else set(self._examples.classes)
        self._labels = {name: label for name, label in self._labels.items() if name in there}
        labels = np.array(list(self._labels.values()) or np.empty(0, str))
        order = np.argsort(labels, kind="stable")
        self.classes_ = labels[order]
        names = tuple(list(self._labels)[place] for place in order)
        self._names = names
        self._comparison = None if self._examples is None else self._compared(self._examples, names)

    def _compared(self, examples: Examples, names: tuple[str, ...]) -> Comparison:
        """The examples beside the matcher of the network, or one for features of any origin."""
        if self.run is not None or self._of_network:
            network = self.network_
            matcher, channels = network.model.matcher, examples.features.frames.shape[2]
            if matcher.channels != channels or (
                matcher.needs_maps and examples.features.maps is None
            ):
                raise InputError(
                    f"the features have {channels} channels, and {network.name} compares "
                    f"{matcher.channels}{' and maps' * matcher.needs_maps}; give features of it"
                )
            return Comparison(matcher, examples.to(network.model.mean.device), names)
        _, frames, channels = examples.features.frames.shape
        device = pick_device(self.device)
        matcher = bare_matcher(self.matcher or "bimhm", channels=channels, frames=frames)
        precise = examples.to(torch.float64).to(device)
        return Comparison(matcher.to(device), precise, names)

    def forget(
        self: Own, *, clips: Sequence[PathLike] = (), classes: Sequence[Any] | str = ()
    ) -> Own:
        """Remove examples, or all examples of classes; return the estimator itself.

        Raises `UserError` for a clip or a class that is not in the support.
        """
        examples, paths = self._known(), clip_paths(clips)
        names = [str(name) for name in ([classes] if isinstance(classes, str) else classes)]
        known = {clip.absolute() for clip in examples.clips}
        for path in paths:
            if path.absolute() not in known:
                raise UserError(f"the clip {path} is no example of the support; see support_")
        for name in names:
            if name not in examples.classes:
                there = ", ".join(sorted(set(examples.classes)))
                raise UserError(f"the support has no class {name!r}; it has: {there}")
        self._examples = examples.without(clips=paths, classes=names)
        self._settle()
        return self

    def save_support(self, path: PathLike) -> Path:
        """Write the support with its features into one file, which `fit` reads without decoding.

        Raises `UserError`.
        """
        examples = self._known()
        return write_support(Path(path), examples, self.network_ if self._of_network else None)

    @property
    def support_(self) -> dict[str, tuple[Path, ...]]:
        """The clips of each class, sorted by class."""
        by_class = {} if self._examples is None else self._examples.by_class
        return {name: by_class[name] for name in self._names}

    @property
    def threshold_(self) -> Threshold | None:
        """The least score to accept a class, found where it is asked for; None without reject."""
        if not self.reject:
            return None
        if "_threshold" not in vars(self):
            self._threshold = self._found_threshold()
        return self._threshold

    def _found_threshold(self) -> Threshold:
        comparison = self._ready()
        way, clips = len(comparison.names), len(comparison.examples.clips)
        if self.run is not None and self.network_.network != UNTRAINED:
            store = None if self.store is None else Path(self.store)
            self._network, found = threshold_for(
                self.network_, way=way, shot=round(clips / way), store=store
            )
            return found
        return threshold_of_support(
            comparison.matcher, comparison.support, labels=comparison.labels
        )

    def _known(self) -> Examples:
        """The examples. Raises `UserError` where there is none."""
        if not self.__sklearn_is_fitted__():
            raise self._unfit("this recogniser knows no classes yet; call fit(support) first")
        if self._examples is None:
            raise UserError("this recogniser has forgotten all its examples; learn some first")
        return self._examples

    def _ready(self) -> Comparison:
        """The comparison with two classes or more. Raises `UserError` before there are."""
        self._known()
        check_two(list(self._names))
        if self._comparison is None:  # read from a pickle
            self._comparison = self._compared(self._known(), self._names)
        return self._comparison

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the matcher, which is a part of the network."""
        state = super().__getstate__()
        return state | {"_comparison": None} if "_comparison" in state else state


def _check_alike(before: Examples, new: Learnt) -> None:
    """Raise `InputError` where frames or channels differ from those of the examples before."""
    assert new.examples is not None
    known, added = (tuple(e.features.frames.shape[1:]) for e in (before, new.examples))
    if known != added:
        raise InputError(
            f"the examples have {known[0]} frames of {known[1]} channels, and the new ones "
            f"{added[0]} of {added[1]}; add features of the same network, or fit anew"
        )
