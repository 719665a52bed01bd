"""Batches of views of a store, decoded on the training device."""

import functools
import importlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from tasd.episodes import View
from tasd.errors import UserError
from tasd.features.store import FeatureStore
from tasd.loader.cached import CachedViews
from tasd.loader.dali import dali_frames
from tasd.loader.encoded import Decoded, check_crop, encoded
from tasd.loader.pillow import torch_frames
from tasd.registry import pick
from tasd.store import Store
from tasd.types import Normalisation

# What decodes: encoded batches in, uint8 (views, time, size, size, 3) out; normalised, float32
# (views, time, 3, size, size).
LOADERS: dict[str, Callable[..., Iterator[Tensor]]] = {"dali": dali_frames, "torch": torch_frames}


class Views:
    """Batches of views, decoded; each iteration begins at the first again. See `open_views`.

    kind: the entry of `LOADERS` that decodes.
    waited: seconds that the consumer has waited for batches so far.
    """

    def __init__(
        self,
        store: Store,
        batches: Iterable[Sequence[View]],
        *,
        size: int,
        device: torch.device,
        kind: str,
        threads: int,
        prefetch: int,
        normalise: Normalisation | None = None,
    ) -> None:
        self.kind = kind
        self.waited = 0.0
        self._store, self._batches, self._size = store, batches, size
        self._decode = functools.partial(
            LOADERS[kind],
            size=size,
            device=device,
            threads=threads,
            prefetch=prefetch,
            normalise=normalise,
        )

    def __iter__(self) -> Iterator[Decoded]:
        looked_up = (encoded(self._store, views, size=self._size) for views in self._batches)
        decoded = self._decode(looked_up)
        while True:
            asked = time.perf_counter()
            frames = next(decoded, None)
            self.waited += time.perf_counter() - asked
            if frames is None:
                return
            yield frames


def open_views(
    store: Store,
    batches: Iterable[Sequence[View]],
    *,
    size: int,
    device: torch.device | str,
    kind: str = "auto",
    threads: int = 2,
    prefetch: int = 2,
    normalise: Normalisation | None = None,
) -> Views:
    """An iterable of decoded batches, uint8 (views, time, size, size, 3) on ``device``.

    size: side of the square crop; frames are never resized here.
    kind: an entry of `LOADERS`, or "auto": DALI where it is installed, else torch.
    threads: that decode. prefetch: batches that are decoded ahead.
    normalise: hand over float32 (views, time, 3, size, size) with this mean and deviation instead,
    as other code expects; this project's networks take uint8, a quarter of the bytes.

    Raises `UserError` when a stored video is smaller than the crop, when the kind is unknown or
    not installed and, while iterating, when a JPEG does not decode.
    """
    assert threads >= 1, threads
    assert prefetch >= 1, prefetch
    check_crop(store, size)
    chosen = _chosen(kind)
    where = _indexed(torch.device(device))
    return Views(
        store,
        batches,
        size=size,
        device=where,
        kind=chosen,
        threads=threads,
        prefetch=prefetch,
        normalise=normalise,
    )


def open_clips(
    store: Store | FeatureStore,
    batches: Iterable[Sequence[View]],
    *,
    size: int,
    device: torch.device | str,
    kind: str = "auto",
    threads: int = 2,
    prefetch: int = 2,
) -> Views | CachedViews:
    """What a network reads of some views: `open_views`, or cached features looked up.

    Of cached features it is float32 (views, time, channels), and ``device`` alone matters.
    """
    if isinstance(store, FeatureStore):
        return CachedViews(store, batches, device=_indexed(torch.device(device)))
    return open_views(
        store, batches, size=size, device=device, kind=kind, threads=threads, prefetch=prefetch
    )


def _chosen(kind: str) -> str:
    """The entry of `LOADERS` that ``kind`` means on this machine."""
    if kind == "auto":
        return "dali" if why_no_dali() is None else _without_dali()
    pick(LOADERS, kind, what="loader")
    if kind == "dali" and (reason := why_no_dali()) is not None:
        raise UserError(
            f"the loader 'dali' was asked for and cannot be imported ({reason}); install "
            "tasd[train] on Linux, or choose the loader 'torch'"
        )
    return kind


@functools.cache
def why_no_dali() -> str | None:
    """What keeps NVIDIA DALI from being imported here; None where it is at hand."""
    try:
        importlib.import_module("nvidia.dali")
    except (ImportError, OSError) as error:  # OSError: a library that it links to
        return str(error)
    return None


@functools.cache
def _without_dali() -> str:
    """The loader of machines without DALI; cached, so that it is said once."""
    logging.getLogger(__name__).warning(
        "NVIDIA DALI is not at hand (%s): frames are decoded by Pillow, more slowly", why_no_dali()
    )
    return "torch"


def _indexed(device: torch.device) -> torch.device:
    """``cuda`` alone means the current GPU; DALI wants its number."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device
