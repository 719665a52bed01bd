"""One pass of a network over the videos under test: frames -> a feature file."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from tasd.episodes import View
from tasd.errors import UserError
from tasd.feature_store import FeatureStore
from tasd.features import FORMAT, VERSION, open_features
from tasd.loader import open_clips
from tasd.progress import track
from tasd.store import Store
from tasd.types import Features

Network = Callable[[Tensor], Features]
LARGEST_HALF = 65504.0


def extract(
    network: Network,
    store: Store | FeatureStore,
    path: Path,
    *,
    classes: Mapping[str, Sequence[str]],
    split: str | Mapping[str, str],
    view: Callable[[str], View],
    size: int,
    device: torch.device | str = "cpu",
    maps: bool = False,
    half: bool = False,
    about: Mapping[str, Any] | None = None,
    trained_on: Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    kind: str = "auto",
    threads: int = 2,
    videos_per_batch: int = 4,
) -> FeatureStore:
    """Run ``network`` once over each video of ``classes`` and write what it says to ``path``.

    split: which one these classes are, or one for each. size: of the crop.
    view: how a video is looked at, `tasd.episodes.middle_view` for a test.
    maps: keep the feature maps too, for matchers that read them; of a network in bf16 in float16.
    half: all in float16, at half the size; the last digits are lost.
    about, trained_on, groups: written along, see `tasd.features`.

    The file appears when it is complete. Raises `UserError`.
    """
    videos = [(video, name) for name, ids in classes.items() for video in ids]
    starts = range(0, len(videos), videos_per_batch)
    parts = [videos[start : start + videos_per_batch] for start in starts]
    views = ([view(video) for video, _ in part] for part in parts)
    frames = open_clips(store, views, size=size, device=device, kind=kind, threads=threads)
    batches = _forward(network, frames, parts, maps=maps)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.writing")
    try:
        with h5py.File(temporary, "w") as file:
            names = sorted(classes)
            splits = [split if isinstance(split, str) else split[name] for name in names]
            _write_names(file, videos, names, splits)
            _write_sources(file, videos, trained_on, groups)
            file.attrs.update({"format": FORMAT, "version": VERSION, **(about or {})})
            _write_arrays(file, batches, videos, half=half)
        _settle(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return open_features(path)


def _forward(
    network: Network,
    frames: Iterable[Tensor],
    parts: Sequence[Sequence[tuple[str, str]]],
    *,
    maps: bool,
) -> Iterator[Features]:
    batches = track(
        zip(frames, parts, strict=True),
        total=sum(len(part) for part in parts),
        what="features",
        unit="videos",
        count=lambda pair: len(pair[1]),
    )
    with torch.inference_mode():
        for batch, _ in batches:
            said = network(batch)
            yield Features(said.frames, said.maps if maps else None)


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
