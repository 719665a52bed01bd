"""Reading and checking of feature files.

A feature file is HDF5, written by `tasd features` or by a few lines of Python (docs/evaluation.md):

    /features      float16 or float32 (videos, time, channels)
    /maps          float16 or float32 (videos, time, channels, height, width), optional
    /video_name    strings (videos), unique
    /video_class   integers that index class_name, or the names themselves (videos)
    /class_name    strings (classes)
    /class_split   "train", "val" or "test" (classes), optional: without it all classes are test
    /video_group   strings (videos), optional: the source that a video was cut from
    /trained_class strings, optional: the classes that the network was trained on
    attributes     plain strings and numbers, optional: checkpoint, store, network ...
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tasd.errors import UserError
from tasd.features.opening import read_content
from tasd.features.store import FeatureStore
from tasd.foreign import path_part, remark
from tasd.progress import counted

FORMAT = "tasd-features"
VERSION = 1
SPLITS = ("train", "val", "test")
# Attributes that name something, and so may become part of a name elsewhere.
NAMES = ("dataset", "network")
_told: set[Path] = set()  # files without a seal that were named, once a process


def open_features(path: Path, *, own: bool = False, told: bool = False) -> FeatureStore:
    """Read and check a feature file of any origin. Raises `UserError`.

    own: the file is one of a cache, see `tasd.features.opening.read_content`. A file that carries
    no seal is named in one line, once a process; told: without it.
    """
    content = read_content(path, own=own)
    if not (content.sealed or told or path in _told):
        _told.add(path)
        remark(
            f"{path} carries no digest, so damage to its numbers cannot be noticed; "
            f"tasd features --seal {path} adds one"
        )
    texts, about = content.texts, content.attributes
    _check_about(path, about)
    videos, names = texts["video_name"], texts["class_name"]
    _check_unique(path, "video_name", videos)
    _check_unique(path, "class_name", names)
    shape = content.features.shape
    _check_length(path, "video_name", len(videos), shape[0])
    video_class = _video_classes(path, content.labels, names, shape[0])
    _check_finite(path, content.features, videos)
    groups = texts.get("video_group")
    if groups is not None:
        _check_length(path, "video_group", len(groups), shape[0])
    if content.maps is not None and content.maps.shape[:3] != shape:
        raise UserError(
            f"{path}: /maps is {content.maps.shape} and /features is {shape}; videos, time and "
            "channels must agree"
        )
    return FeatureStore(
        path=path,
        features=content.features,
        maps=content.maps,
        videos=tuple(videos),
        video_class=video_class,
        splits=_splits(path, texts.get("class_split"), names),
        groups=None if groups is None else dict(zip(videos, groups, strict=True)),
        trained_on=tuple(texts.get("trained_class", ())),
        about=dict(about),
    )


def _check_about(path: Path, about: Mapping[str, Any]) -> None:
    if about.get("format", FORMAT) == FORMAT and about.get("version", VERSION) != VERSION:
        raise UserError(
            f"{path} has version {about['version']} of the feature format, this tasd reads "
            f"version {VERSION}; write it again with tasd features"
        )
    for name in NAMES:
        value = about.get(name)
        if value is not None and (not isinstance(value, str) or path_part(value) != value):
            raise UserError(
                f"{path}: its attribute {name} is {str(value)[:60]!r}; a name there has letters, "
                "digits and . _ + - ( ) only, no blanks and no slashes"
            )


def _video_classes(
    path: Path, labels: Sequence[Any], names: Sequence[str], count: int
) -> tuple[str, ...]:
    _check_length(path, "video_class", len(labels), count)
    if all(isinstance(label, str) for label in labels):
        known = set(names)
        unknown = sorted({label for label in labels if label not in known})
        classes = tuple(labels)
    else:
        unknown = [str(label) for label in labels if not 0 <= label < len(names)]
        classes = tuple(names[label] for label in labels) if not unknown else ()
    if unknown:
        raise UserError(
            f"{path}: /video_class holds {unknown[0]!r}, which is none of the "
            f"{counted(len(names), 'class')} of /class_name; add it there or correct the label"
        )
    return classes


def _splits(
    path: Path, splits: Sequence[str] | None, names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    if splits is None:
        return {"train": (), "val": (), "test": tuple(names)}
    _check_length(path, "class_split", len(splits), len(names), of="classes of /class_name")
    for split in splits:
        if split not in SPLITS:
            raise UserError(
                f"{path}: /class_split holds {split!r}; it may hold {', '.join(SPLITS)}"
            )
    pairs = list(zip(names, splits, strict=True))
    return {split: tuple(name for name, own in pairs if own == split) for split in SPLITS}


def _check_unique(path: Path, what: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise UserError(f"{path}: /{what} holds {twice!r} twice; names must be unique")


def _check_length(
    path: Path, what: str, have: int, need: int, *, of: str = "videos of /features"
) -> None:
    if have != need:
        raise UserError(
            f"{path}: /{what} has {have} entries for the {need} {of}; write one for each"
        )


def _check_finite(
    path: Path, features: Float[np.ndarray, "videos time channels"], videos: Sequence[str]
) -> None:
    # A sum is finite only where all values are; in float64 no sum of finite values overflows.
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(features.sum(axis=(1, 2), dtype=np.float64))
    if bad.any():
        first = videos[int(np.flatnonzero(bad)[0])]
        raise UserError(
            f"{path}: /features of {counted(int(bad.sum()), 'video')} hold NaN or infinity "
            f"({first!r} first); compute them again"
        )
