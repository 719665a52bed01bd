"""Small real stores of drawn pictures, whole and damaged, and a function that loads views."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tasd.episodes import View
from tasd.loader import open_views
from tasd.store import Manifest, ShardWriter, Store, shard_name, write_manifest

Sizes = Mapping[str, tuple[int, int]]


def picture(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw smooth colours with edges and some noise, nowhere symmetric."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    height, width = size
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    noisy = smooth + random.normal(0, 6, smooth.shape)
    noisy[height // 5 : height // 3, width // 4 :] = random.integers(0, 256, 3)
    return noisy.clip(0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Encode as prep does: quality 95, chroma at half size."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, subsampling="4:2:0")
    return buffer.getvalue()


def write_store(folder: Path, videos: Mapping[str, Sequence[bytes]], sizes: Sizes) -> Store:
    """Write a real store of these JPEGs, which may be broken: the writer does not decode them."""
    folder.mkdir(parents=True)
    with ShardWriter(folder / shard_name(0), dataset="folder", settings={}, ffmpeg="0") as writer:
        for key, jpegs in videos.items():
            class_name, name = key.split("/")
            times = [frame / 10 for frame in range(len(jpegs))]
            writer.add(class_name=class_name, name=name, jpegs=jpegs, times=times, size=sizes[key])
    classes = tuple(sorted({key.split("/")[0] for key in videos}))
    assert writer.entry is not None
    splits = {"train": classes, "val": (), "test": ()}
    write_manifest(folder, Manifest("folder", "0", {}, (writer.entry,), splits))
    return Store(folder)


def pictures(sizes: Sizes, *, frames: int = 5) -> dict[str, list[bytes]]:
    """Draw videos of different frames, by id."""
    return {
        key: [jpeg(picture(100 * v + frame, size)) for frame in range(frames)]
        for v, (key, size) in enumerate(sizes.items())
    }


SIZES = {"a/square": (64, 64), "a/wide": (48, 83), "b/tall": (91, 57)}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Square, wide, tall and odd-sized videos of five frames."""
    return write_store(tmp_path_factory.mktemp("loader") / "store", pictures(SIZES), SIZES)


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Store]:
    """A store of other sizes, or with frames replaced: ``{("a/wide", 3): b"..."}``."""

    def make_store(
        sizes: Sizes = SIZES, *, replaced: Mapping[tuple[str, int], bytes] | None = None
    ) -> Store:
        videos = pictures(sizes)
        for (video, frame), content in (replaced or {}).items():
            videos[video][frame] = content
        return write_store(tmp_path / f"store-{len(list(tmp_path.iterdir()))}", videos, sizes)

    return make_store


@pytest.fixture(scope="session")
def load() -> Callable[..., list[torch.Tensor]]:
    """A function that returns all batches of `open_views`."""

    def load(
        store: Store, batches: Sequence[Sequence[View]], **options: object
    ) -> list[torch.Tensor]:
        options = {"size": 32, "device": "cpu", "kind": "dali"} | options
        return list(open_views(store, batches, **options))  # type: ignore[arg-type]

    return load
