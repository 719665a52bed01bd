"""One pass of a network over the videos under test: frames -> a feature file."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import torch
from torch import Tensor

from tasd.episodes import View
from tasd.features.reader import FORMAT, VERSION, open_features
from tasd.features.store import FeatureStore
from tasd.features.writer import _settle, _write_arrays, _write_names, _write_sources
from tasd.loader import open_clips
from tasd.progress import track
from tasd.store import Store
from tasd.types import Features

Network = Callable[[Tensor], Features]


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
    view: how a video is looked at, `tasd.episodes.evaluation_view` for a test.
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
