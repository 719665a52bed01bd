"""Loading of views, decoded by DALI or Pillow on the training device, or looked up in features."""

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

# The decoders, from encoded batches to uint8 (views, time, size, size, 3) or, normalised, float32
# (views, time, 3, size, size). "torch" decodes with Pillow.
LOADERS: dict[str, Callable[..., Iterator[Tensor]]] = {"dali": dali_frames, "torch": torch_frames}


class Views:
    """Decoded batches of views; each iteration begins at the first batch again.

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
        batches = (encoded(self._store, views, size=self._size) for views in self._batches)
        decoded = self._decode(batches)
        while True:
            began = time.perf_counter()
            frames = next(decoded, None)
            self.waited += time.perf_counter() - began
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
    """Return an iterable of decoded batches, uint8 (views, time, size, size, 3) on ``device``.

    size: side of the square crop; frames are never resized here.
    kind: an entry of `LOADERS`, or "auto": DALI where it is installed, else Pillow.
    threads: number of threads that decode. prefetch: number of batches decoded ahead.
    normalise: yield float32 (views, time, 3, size, size) with this mean and deviation instead, as
    other code expects; the networks of this project take uint8, a quarter of the bytes.

    Raises `UserError` where a stored video is smaller than the crop, where the kind is unknown or
    not installed and, while iterating, where a JPEG does not decode.
    """
    assert threads >= 1, threads
    assert prefetch >= 1, prefetch
    check_crop(store, size)
    chosen = chosen_kind(kind)
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
    """Return an iterable of the batches that a network reads: `open_views`, or cached features.

    Cached features are float32 (views, time, channels). Of the options only ``device`` has an
    effect on them.
    """
    if isinstance(store, FeatureStore):
        return CachedViews(store, batches, device=_indexed(torch.device(device)))
    return open_views(
        store, batches, size=size, device=device, kind=kind, threads=threads, prefetch=prefetch
    )


def chosen_kind(kind: str) -> str:
    """Return the entry of `LOADERS` that ``kind`` means on this machine. Raises `UserError`."""
    if kind == "auto":
        return "dali" if why_no_dali() is None else _without_dali()
    pick(LOADERS, kind, what="loader")
    if kind == "dali" and (reason := why_no_dali()) is not None:
        raise UserError(
            f"the loader 'dali' cannot be imported ({reason}); install tasd[train] on Linux, or "
            "choose the loader 'torch'"
        )
    return kind


@functools.cache
def why_no_dali() -> str | None:
    """Return why NVIDIA DALI cannot be imported; None where it can."""
    try:
        importlib.import_module("nvidia.dali")
    except (ImportError, OSError) as error:  # OSError: of a library that it links to
        return str(error)
    return None


@functools.cache
def _without_dali() -> str:
    """Return the loader without DALI; cached, so that the warning is logged once."""
    logging.getLogger(__name__).warning(
        "NVIDIA DALI cannot be imported (%s); Pillow decodes the frames, more slowly", why_no_dali()
    )
    return "torch"


def _indexed(device: torch.device) -> torch.device:
    """Return ``device`` with its index, which DALI needs; ``cuda`` alone is the current GPU."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device
