"""Features of videos on disk: written whole or not at all."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from tasd.errors import UserError
from tasd.types import Features

LARGEST_HALF = 65504.0


def _write_names(
    file: h5py.File,
    videos: Sequence[tuple[str, str]],
    names: Sequence[str],
    splits: Sequence[str],
) -> None:
    text = h5py.string_dtype("utf-8")
    file.create_dataset("video_name", data=[video for video, _ in videos], dtype=text)
    file["video_class"] = np.array([names.index(name) for _, name in videos])
    file.create_dataset("class_name", data=list(names), dtype=text)
    file.create_dataset("class_split", data=list(splits), dtype=text)


def _write_sources(
    file: h5py.File,
    videos: Sequence[tuple[str, str]],
    trained_on: Sequence[str],
    groups: Mapping[str, str] | None,
) -> None:
    text = h5py.string_dtype("utf-8")
    if trained_on:
        file.create_dataset("trained_class", data=list(trained_on), dtype=text)
    if groups is not None:
        data = [groups[video] for video, _ in videos]
        file.create_dataset("video_group", data=data, dtype=text)


def _write_arrays(
    file: h5py.File,
    batches: Iterable[Features],
    videos: Sequence[tuple[str, str]],
    *,
    half: bool,
) -> None:
    row = 0
    for batch in batches:
        names = [video for video, _ in videos[row : row + len(batch.frames)]]
        arrays = {"features": batch.frames}
        if batch.maps is not None:  # (videos, channels, time, ...) -> (videos, time, channels, ...)
            arrays["maps"] = batch.maps.transpose(1, 2)
        for key, said in arrays.items():
            # All that bf16 holds, but for the smallest values, float16 holds too.
            dtype = np.float16 if half or said.dtype == torch.bfloat16 else np.float32
            array = said.float().cpu()
            _check_range(array, names, largest=LARGEST_HALF if dtype == np.float16 else None)
            if key not in file:
                file.create_dataset(key, (len(videos), *array.shape[1:]), dtype)
            file[key][row : row + len(array)] = array.numpy().astype(dtype)
        row += len(batch.frames)


def _check_range(array: Tensor, names: Sequence[str], *, largest: float | None) -> None:
    if not bool(array.isfinite().all()):
        bad = int((~array.isfinite().flatten(1).all(dim=1)).nonzero()[0])
        raise UserError(
            f"the network gives NaN or infinity for video {names[bad]!r}; take another checkpoint"
        )
    if largest is not None and float(array.abs().max()) > largest:
        raise UserError(
            f"the network gives {float(array.abs().max()):.3g} for one of {names[0]!r} and the "
            f"videos after it, float16 ends at {largest:.0f}; its features cannot be kept so"
        )


def _settle(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
