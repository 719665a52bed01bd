"""What student and teacher look at, on clips chosen by a rule: ``python -m tests.attention OUT``.

The clips are the first query of each class of the first test episode of seed 0; of each clip the
first frame and the one least like it. A column for each network shows Eq. 4's attention: before
training, student, teacher. Without ``--run`` and ``--store`` the photos of free-exercise-db in
TASD_TEST_DATA are prepared and EfficientNet-Lite0 is trained on them for ``--episodes`` episodes,
at the full rate in all its layers, in a temporary folder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from tasd.episodes import EpisodeSampler, evaluation_view
from tasd.evaluation.floor import untrained_network
from tasd.extraction.attention import attention
from tasd.loader import open_views
from tasd.model import Model
from tasd.report.attention import overlay
from tasd.report.style import PAGE, label, new_figure, style
from tasd.runs.checkpoint import Checkpoint, load, networks
from tasd.runs.folder import Run
from tasd.store import Store

PHOTOS = "data/free_exercise_photos"
EVERY = "training.validation_every"
COLOURS = 160  # of the picture's palette
SHOWN = ("before training", "student", "teacher")


@dataclass(frozen=True)
class Seen:
    """A clip, two of its frames, and the attention of each network in them."""

    video: str
    frames: UInt8[np.ndarray, "shown height width 3"]
    maps: Mapping[str, Float[Tensor, "shown rows columns"]]


def first_queries(store: Store, saved: Checkpoint) -> list[str]:
    """Return the first query of each class of the first test episode of seed 0."""
    shape = saved.config.episode
    sampler = EpisodeSampler(
        videos=store.classes("test"), way=shape.way, shot=shape.shot, queries=1, length=1, seed=0
    )
    return [view.video for view in sampler[0].query]


def looked_at(run: Run, store: Store, *, crop: int) -> Iterator[Seen]:
    """Yield the chosen clips with the attention of the run's networks."""
    saved = load(run.last)  # also where nothing has beaten the untrained network
    trained = networks(saved)
    models: dict[str, Model] = {SHOWN[0]: untrained_network(saved)}
    models |= {name: trained[name] for name in SHOWN[1:]}
    for video in first_queries(store, saved):
        view = evaluation_view(video, saved.config.data.frames)
        pixels = next(iter(open_views(store, [[view]], size=crop, device="cpu")))
        unlike = (pixels[0].float() - pixels[0, 0].float()).abs().mean(dim=(1, 2, 3))
        shown = torch.tensor([0, int(unlike.argmax())])
        maps = {}
        for name, model in models.items():
            model.precision = "float32"
            maps[name] = attention(model, pixels, label=name).frames[shown]
        yield Seen(video, pixels[0][shown].numpy(), maps)


def likeness(found: Sequence[Seen], one: str, other: str) -> float:
    """Return the mean correlation of two networks' maps over all frames shown."""
    pairs = [
        np.corrcoef(a.flatten(), b.flatten())[0, 1]
        for seen in found
        for a, b in zip(seen.maps[one].numpy(), seen.maps[other].numpy(), strict=True)
    ]
    return float(np.mean(pairs))


def draw(found: Sequence[Seen], path: Path) -> None:
    """Write the figure: a row for each clip; for both frames the picture and the networks."""
    columns = 2 * (1 + len(SHOWN))
    with style():
        side = PAGE / columns
        figure = new_figure(PAGE, side * len(found) + 0.35)
        grid = figure.subplots(len(found), columns, squeeze=False)
        for axes in grid.ravel():
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        for row, seen in zip(grid, found, strict=True):
            row[0].set_ylabel(label(seen.video.partition("/")[0]), fontsize=7)
            for number, frame in enumerate(seen.frames):
                start = number * (1 + len(SHOWN))
                row[start].imshow(frame)
                for axes, name in zip(row[start + 1 :], SHOWN, strict=False):
                    axes.imshow(overlay(frame, seen.maps[name][number]))
        for axes, title in zip(grid[0], 2 * ("frame", *SHOWN), strict=True):
            axes.set_title(title, loc="center", fontsize=7)
        figure.savefig(path, dpi=150, facecolor="white")
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def trained_run(folder: Path, episodes: int) -> tuple[Run, Path]:
    """Train on the photos at 128 pixels; return the run, and a store of them at 256 to look at."""
    run, stores = folder / "run", {size: folder / f"store{size}" for size in (128, 256)}
    photos = Path(os.environ["TASD_TEST_DATA"]) / PHOTOS
    classes = ["--train-classes", 12, "--val-classes", 4, "--test-classes", 6, "--frames", 8]
    for size, store in stores.items():
        _tasd("prep", "folder", "--root", photos, "--store", store, "--size", size, *classes)
    words = ["--backbone", "efficientnet_lite0", "--crop", 112, "--queries", 1, "--device", "cpu"]
    settings = ["network.depth=0", "optimiser.backbone_scale=1", f"{EVERY}={episodes}"]
    more = [word for one in settings for word in ("--set", one)]
    _tasd("train", "--store", stores[128], "--out", run, "--episodes", episodes, *words, *more)
    return Run(run), stores[256]


def _tasd(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "tasd", *map(str, words)], check=True)


def main(words: Sequence[str] | None = None) -> None:
    """Draw the figure, and print how alike the networks' maps are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--crop", type=int, default=224)
    args = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        if args.run is None:
            run, place = trained_run(Path(folder), args.episodes)
        else:
            run, place = Run(args.run), args.store
        with Store(place) as store:
            found = list(looked_at(run, store, crop=args.crop))
    draw(found, args.out)
    for one, other in ((SHOWN[1], SHOWN[2]), (SHOWN[0], SHOWN[1]), (SHOWN[0], SHOWN[2])):
        print(f"{one} and {other}: correlation {likeness(found, one, other):.3f}")


if __name__ == "__main__":
    main()
