"""Writing of feature files, whole or not at all."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from tasd.errors import UserError, cause
from tasd.features.reader import FORMAT, VERSION, open_features
from tasd.features.seal import SEAL_BYTES, check_seal, seal
from tasd.features.sink import Sink
from tasd.files import replacing
from tasd.types import Features

LARGEST_HALF = 65504.0


def write_features(
    path: Path,
    batches: Iterable[Features],
    *,
    videos: Sequence[tuple[str, str]],
    splits: Mapping[str, str],
    trained_on: Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    about: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write the features of ``videos``, which arrive in ``batches``, to a feature file.

    videos: name and class of each, in the order of the batches. splits: the split of each class,
    in the order of ``/class_name``. trained_on: the classes that the network was trained on.
    groups: the source of each video. about: further attributes of the file.
    half: keep everything in float16. Otherwise maps in bf16 become float16, the rest float32.

    The file appears when it is complete, with a seal (see `tasd.features.seal`). Raises `UserError`
    where a value is not finite or too large for float16, and where the disk does not take it.
    """
    try:
        with replacing(path) as temporary:
            _write(
                temporary,
                batches,
                videos=videos,
                splits=splits,
                trained_on=trained_on,
                groups=groups,
                about=about or {},
                half=half,
            )
            seal(temporary)
    except OSError as error:
        raise _not_written(path, error) from None


def seal_features(path: Path) -> bool:
    """Put a seal before a feature file of another program; False where it carries one already.

    The file is checked as at every opening, and what follows the seal is the file as it was: HDF5
    looks for its beginning behind a first part of 512 bytes too. Raises `UserError`.
    """
    found = open_features(path, told=True)
    with path.open("rb") as file:
        if check_seal(file):
            return False
    try:
        with replacing(path) as temporary:
            with path.open("rb") as source, temporary.open("wb") as target:
                target.write(bytes(SEAL_BYTES))
                shutil.copyfileobj(source, target, 1 << 20)
            seal(temporary)
            shutil.copymode(path, temporary)
            if open_features(temporary).hash != found.hash:
                raise UserError(f"{path} has changed while its seal was written; try again")
    except OSError as error:
        raise _not_written(path, error) from None
    return True


def _not_written(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path} cannot be written ({cause(error)}); free some space or choose another place"
    )


def _write(
    path: Path,
    batches: Iterable[Features],
    *,
    videos: Sequence[tuple[str, str]],
    splits: Mapping[str, str],
    trained_on: Sequence[str],
    groups: Mapping[str, str] | None,
    about: Mapping[str, Any],
    half: bool,
) -> None:
    names, text = list(splits), h5py.string_dtype("utf-8")
    with Sink(path) as sink, h5py.File(sink, "w", userblock_size=SEAL_BYTES) as file:
        file.create_dataset("video_name", data=[video for video, _ in videos], dtype=text)
        file["video_class"] = np.array([names.index(name) for _, name in videos])
        file.create_dataset("class_name", data=names, dtype=text)
        file.create_dataset("class_split", data=list(splits.values()), dtype=text)
        if trained_on:
            file.create_dataset("trained_class", data=list(trained_on), dtype=text)
        if groups is not None:
            sources = [groups[video] for video, _ in videos]
            file.create_dataset("video_group", data=sources, dtype=text)
        file.attrs.update({"format": FORMAT, "version": VERSION, **about})
        _write_arrays(file, batches, [video for video, _ in videos], half=half, check=sink.check)


def _write_arrays(
    file: h5py.File,
    batches: Iterable[Features],
    videos: Sequence[str],
    *,
    half: bool,
    check: Callable[[], None],
) -> None:
    row = 0
    for batch in batches:
        check()  # a full disk ends this before all features are computed
        names = videos[row : row + len(batch.frames)]
        tensors = {"features": batch.frames}
        if batch.maps is not None:  # (videos, channels, time, ...) -> (videos, time, channels, ...)
            tensors["maps"] = batch.maps.transpose(1, 2)
        for key, tensor in tensors.items():
            # float16 holds the values of bf16 but the smallest; those too large are refused below.
            dtype = np.float16 if half or tensor.dtype == torch.bfloat16 else np.float32
            array = tensor.float().cpu()
            _check_range(array, names, largest=LARGEST_HALF if dtype == np.float16 else None)
            if key not in file:
                file.create_dataset(key, (len(videos), *array.shape[1:]), dtype)
            file[key][row : row + len(array)] = array.numpy().astype(dtype)
        row += len(batch.frames)
    assert row == len(videos), f"features of {row} videos for {len(videos)} names"


def _check_range(array: Tensor, names: Sequence[str], *, largest: float | None) -> None:
    if not bool(array.isfinite().all()):
        bad = int((~array.isfinite().flatten(1).all(dim=1)).nonzero()[0])
        raise UserError(
            f"the network outputs NaN or infinity for video {names[bad]!r}; take another checkpoint"
        )
    if largest is not None and float(array.abs().max()) > largest:
        raise UserError(
            f"the network outputs {float(array.abs().max()):.3g} for one of {names[0]!r} and the "
            f"{len(names) - 1} videos after it, float16 ends at {largest:.0f}; keep float32: leave "
            "out --half, or add --precision float32"
        )
