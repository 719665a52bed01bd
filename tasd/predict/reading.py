"""A support as the estimators learn it: X and y read into examples, whatever kind they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tasd.errors import UserError
from tasd.predict.estimator import ClipEstimator
from tasd.predict.examples import Examples
from tasd.predict.inputs import (
    InputError,
    check_labels,
    feature_rows,
    is_features,
    is_path,
    row_names,
)
from tasd.predict.scores import concatenated
from tasd.predict.support import support_clips
from tasd.predict.support_file import is_support_file, read_support
from tasd.types import Features


@dataclass(frozen=True)
class Learnt:
    """The content of X and y.

    examples: None where no clip could be read. labels: from the name of each class to its label
    as it was given. of_network: False for features, which are of any origin. problems: the reason
    for each clip that was left out. cache_hits: number of clips with cached features.
    """

    examples: Examples | None
    labels: Mapping[str, Any]
    of_network: bool
    problems: dict[str, str] = field(default_factory=dict)
    cache_hits: int = 0


def read_examples(estimator: ClipEstimator, X: Any, y: Any, *, whole: bool, start: int) -> Learnt:
    """Read the examples of X and y.

    whole: this is all of the support, and must have two classes or more, each with a clip that
    can be read. start: number of examples that are known, for the names of rows.

    Raises `UserError`.
    """
    if y is None and is_path(X) and is_support_file(Path(X)):
        learnt = _of_file(estimator, Path(X))
    elif is_features(X):
        learnt = _of_features(estimator, X, y, reset=whole or not start, start=start)
    else:
        return _of_clips(estimator, X, y, whole=whole)
    if whole:
        check_two(list(learnt.labels))
    return learnt


def check_support(path: Path) -> None:
    """Raise `UserError` where a support folder has fewer than two classes; no clip is read."""
    if not is_support_file(path):
        check_two(list(support_clips(path, None)[0]))


def check_two(classes: list[str]) -> None:
    """Raise `InputError` where there are fewer than two classes."""
    if len(classes) < 2:
        named = f" ({', '.join(classes)})" if classes else ""
        raise InputError(
            f"the support has {len(classes)} class{named}; it must have two classes or more, "
            "each with a clip or more"
        )


def _of_file(estimator: ClipEstimator, path: Path) -> Learnt:
    found = read_support(path)
    if found.origin is not None:
        found.check(estimator.network_)
    else:
        estimator.n_features_in_ = found.examples.features.frames.shape[2]
    labels = {name: name for name in found.examples.classes}
    return Learnt(found.examples, labels, found.origin is not None)


def _of_features(estimator: ClipEstimator, X: Any, y: Any, *, reset: bool, start: int) -> Learnt:
    features = feature_rows(estimator, X, reset=reset)
    count = len(features.frames)
    labels = check_labels(y, count=count)
    names = tuple(map(str, labels))
    examples = Examples(tuple(row_names(start, count)), names, features)
    return Learnt(examples, dict(zip(names, labels, strict=True)), False)


def _of_clips(estimator: ClipEstimator, X: Any, y: Any, *, whole: bool) -> Learnt:
    clips, problems = support_clips(X, y)
    labels = {str(label): label for label in clips}
    if whole:
        check_two(list(labels))
    paths = list(dict.fromkeys(path for of_class in clips.values() for path in of_class))
    features: dict[Path, Features] = {}
    hits = 0
    for clip in estimator.features_of(paths, keep=True):
        hits += clip.cached
        if clip.features is None:
            problems[str(clip.path)] = clip.problem
        else:
            features[clip.path] = clip.features
    pairs = [(path, str(name)) for name, of in clips.items() for path in of if path in features]
    if whole:
        _check_readable(clips, problems, {name for _, name in pairs})
    examples = None
    if pairs:
        of_pairs = concatenated([features[path] for path, _ in pairs])
        clips_, names = zip(*pairs, strict=True)
        examples = Examples(clips_, names, of_pairs).to(torch.device("cpu"))
    return Learnt(examples, labels, True, problems, hits)


def _check_readable(
    clips: Mapping[Any, list[Path]], problems: Mapping[str, str], readable: set[str]
) -> None:
    for name, paths in clips.items():
        if str(name) not in readable:
            reasons = [f"{path}: {problems[str(path)]}" for path in paths[:1]]
            raise UserError(
                f"no clip of the class {str(name)!r} can be read ({(reasons or ['it has none'])[0]}"
                "); add a clip that can be read, or leave out the class"
            )
