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

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from tasd.errors import UserError
from tasd.features.store import FeatureStore

FORMAT = "tasd-features"
VERSION = 1
REQUIRED = ("features", "video_name", "video_class", "class_name")
SPLITS = ("train", "val", "test")


def open_features(path: Path) -> FeatureStore:
    """Read and check a feature file. Raises `UserError`."""
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise UserError(
            f"--features {path}: there is no such file; write one with tasd features"
        ) from None
    except OSError as error:
        raise UserError(f"{path} is not an HDF5 file ({str(error)[:80]}); write it again") from None
    with file:
        try:
            _check_format(path, file)
            return _read(path, file)
        except (OSError, RuntimeError, TypeError, ValueError) as error:  # h5py, damaged metadata
            reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
            raise UserError(f"{path} is damaged ({reason}); write it again") from error


def _check_format(path: Path, file: h5py.File) -> None:
    for name in REQUIRED:
        if not isinstance(file.get(name), h5py.Dataset):
            raise UserError(
                f"{path} has no /{name}; a feature file needs /{', /'.join(REQUIRED)} "
                "(docs/evaluation.md shows how to write one)"
            )
    if file.attrs.get("format", FORMAT) == FORMAT and file.attrs.get("version", VERSION) != VERSION:
        raise UserError(
            f"{path} has version {file.attrs['version']} of the feature format, this tasd reads "
            f"version {VERSION}; write it again with tasd features"
        )


def _read(path: Path, file: h5py.File) -> FeatureStore:
    videos, names = _strings(path, file, "video_name"), _strings(path, file, "class_name")
    _check_unique(path, "video_name", videos)
    _check_unique(path, "class_name", names)
    features = _array(path, file["features"], dimensions=3)
    _check_length(path, "video_name", len(videos), len(features))
    video_class = _video_classes(path, file, names, len(features))
    _check_finite(path, features, videos)
    groups = _strings(path, file, "video_group") if "video_group" in file else None
    if groups is not None:
        _check_length(path, "video_group", len(groups), len(features))
    return FeatureStore(
        path=path,
        features=features,
        maps=_maps(path, file, features.shape),
        videos=videos,
        video_class=video_class,
        splits=_splits(path, file, names),
        groups=None if groups is None else dict(zip(videos, groups, strict=True)),
        trained_on=_strings(path, file, "trained_class") if "trained_class" in file else (),
        about={name: _plain(value) for name, value in file.attrs.items()},
    )


def _array(path: Path, data: h5py.Dataset, *, dimensions: int) -> Float[np.ndarray, "..."]:
    axes = ("videos", "time", "channels", "height", "width")[:dimensions]
    if data.ndim != dimensions or 0 in data.shape:
        raise UserError(f"{path}: {data.name} is {data.shape}; it must be ({', '.join(axes)})")
    if data.dtype not in (np.float16, np.float32):
        raise UserError(f"{path}: {data.name} is {data.dtype}; write it as float32 or float16")
    offset = data.id.get_offset() if data.dtype.isnative else None
    if dimensions == 5 and offset is not None:  # gigabytes: mapped if contiguous
        return np.memmap(path, data.dtype, mode="r", offset=offset, shape=data.shape)
    return np.asarray(data[...], data.dtype.newbyteorder("="))


def _maps(path: Path, file: h5py.File, like: tuple[int, ...]) -> Float[np.ndarray, "..."] | None:
    if "maps" not in file:
        return None
    maps = _array(path, file["maps"], dimensions=5)
    if maps.shape[:3] != like:
        raise UserError(
            f"{path}: /maps is {maps.shape} and /features is {like}; videos, time and channels "
            "must agree"
        )
    return maps


def _strings(path: Path, file: h5py.File, name: str) -> tuple[str, ...]:
    data = file[name]
    if h5py.check_string_dtype(data.dtype) is None or data.ndim != 1:
        raise UserError(
            f"{path}: /{name} is {data.dtype} {data.shape}; it must be a list of strings"
        )
    try:
        return tuple(data.asstr("utf-8")[...].tolist())
    except UnicodeDecodeError:
        raise UserError(f"{path}: /{name} holds text that is not UTF-8; write it again") from None


def _video_classes(
    path: Path, file: h5py.File, names: tuple[str, ...], count: int
) -> tuple[str, ...]:
    data = file["video_class"]
    _check_length(path, "video_class", len(data) if data.ndim == 1 else 0, count)
    if h5py.check_string_dtype(data.dtype) is not None:
        classes = _strings(path, file, "video_class")
        unknown = sorted(set(classes) - set(names))
    elif data.dtype.kind in "iu":
        labels = data[...].tolist()
        unknown = [str(label) for label in labels if not 0 <= label < len(names)]
        classes = tuple(names[label] for label in labels) if not unknown else ()
    else:
        raise UserError(f"{path}: /video_class is {data.dtype}; it must hold integers or names")
    if unknown:
        raise UserError(
            f"{path}: /video_class holds {unknown[0]!r}, which is none of the {len(names)} classes "
            "of /class_name; add it there or correct the label"
        )
    return classes


def _splits(path: Path, file: h5py.File, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    if "class_split" not in file:
        return {"train": (), "val": (), "test": names}
    splits = _strings(path, file, "class_split")
    _check_length(path, "class_split", len(splits), len(names), of="classes of /class_name")
    for split in splits:
        if split not in SPLITS:
            raise UserError(
                f"{path}: /class_split holds {split!r}; it may hold {', '.join(SPLITS)}"
            )
    pairs = list(zip(names, splits, strict=True))
    return {split: tuple(name for name, own in pairs if own == split) for split in SPLITS}


def _check_unique(path: Path, what: str, names: tuple[str, ...]) -> None:
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
    path: Path, features: Float[np.ndarray, "videos time channels"], videos: tuple[str, ...]
) -> None:
    # A sum is finite only where all values are; in float64 no sum of finite values overflows.
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(features.sum(axis=(1, 2), dtype=np.float64))
    if bad.any():
        first = videos[int(np.flatnonzero(bad)[0])]
        raise UserError(
            f"{path}: /features of {int(bad.sum())} videos hold NaN or infinity ({first!r} "
            "first); compute them again"
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
