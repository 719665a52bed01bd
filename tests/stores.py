"""A small store written by the store's own writer: coloured noise, one tint for each class."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tasd.store import Manifest, ShardWriter, shard_name, write_manifest

SPLITS = {
    "train": tuple(f"train class {i}" for i in range(6)),
    "val": tuple(f"val class {i}" for i in range(5)),
    "test": tuple(f"test class {i}" for i in range(5)),
}


def write_store(
    path: Path, *, videos: int = 6, frames: int = 16, side: int = 72, dataset: str = "folder"
) -> Path:
    """Write a store of 16 classes in two shards; deterministic."""
    path.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    classes = [name for names in SPLITS.values() for name in names]
    entries = []
    for number, names in enumerate((classes[:8], classes[8:])):
        file = path / shard_name(number)
        with ShardWriter(
            file, dataset=dataset, settings=_settings(frames, side), ffmpeg="0"
        ) as writer:
            for name in names:
                tint = random.integers(0, 200, 3)
                for index in range(videos):
                    pictures = [_jpeg(random, tint, side) for _ in range(frames)]
                    writer.add(
                        class_name=name,
                        name=f"v{index}",
                        jpegs=pictures,
                        times=[t / 10 for t in range(frames)],
                        size=(side, side),
                    )
        entries.append(writer.entry)
    write_manifest(
        path,
        Manifest(
            dataset=dataset,
            ffmpeg="0",
            settings=_settings(frames, side),
            shards=tuple(entries),
            splits=SPLITS,
        ),
    )
    return path


def _settings(frames: int, side: int) -> dict[str, object]:
    """Return the settings as prep writes them."""
    return {"frames": frames, "fps": None, "resize": "square", "size": side, "jpeg_quality": 2}


def _jpeg(random: np.random.Generator, tint: np.ndarray, side: int) -> bytes:
    coarse = (tint + random.integers(0, 56, (6, 6, 3))).astype(np.uint8)
    picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()
