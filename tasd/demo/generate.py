"""A folder of generated video files, ``<class>/<number>.mp4``, and its split.

Each frame is coded by itself at a fixed quality. Compression artefacts of a single frame
therefore hold no trace of its motion.
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from tasd.demo.actions import ACTIONS, Action, levels
from tasd.demo.render import frames, scene
from tasd.episodes.sampler import generator
from tasd.files import write_json

SIDE, FRAMES, RATE = 72, 24, 12  # pixels, frames, frames a second
SPLIT_FILE = "split.json"
CODING = {"vcodec": "libx264", "preset": "veryfast", "g": 1, "qp": 18, "pix_fmt": "yuv420p"}


@dataclass(frozen=True)
class Generated:
    """The folder of videos, and the split file for `tasd prep folder --split-file`."""

    root: Path
    split: Path
    classes: int
    videos: int


def generate(
    folder: Path, *, per_class: int, seed: int, done: Callable[[], None] = lambda: None
) -> Generated:
    """Write ``per_class`` videos of every action; the same seed gives the same bytes.

    done: called after each video. An earlier folder of videos is replaced. The split file is
    written last: where it is there, so are all videos.
    """
    root, split = folder / "videos", folder / SPLIT_FILE
    split.unlink(missing_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    for action in ACTIONS:
        (root / action.name).mkdir(parents=True)

    def write_video(job: tuple[Action, int]) -> None:
        action, number = job
        pixels = draw_video(action, seed=seed, number=number)
        encode(pixels, root / action.name / f"{number:03d}.mp4")
        done()

    jobs = [(action, number) for action in ACTIONS for number in range(per_class)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write_video, jobs))
    write_json(split, split_classes(), indent=2)
    return Generated(root, split, len(ACTIONS), len(jobs))


def split_classes() -> dict[str, list[str]]:
    """Return the class names of train, val and test."""
    return {
        split: [action.name for action in ACTIONS if action.split == split]
        for split in ("train", "val", "test")
    }


def draw_video(action: Action, *, seed: int, number: int) -> NDArray[np.uint8]:
    """Draw the pixels of one video; looks and motion have independent random streams."""
    looks = scene(pixels=SIDE, random=generator(seed, number, f"demo looks/{action.name}"))
    motion = generator(seed, number, f"demo motion/{action.name}")
    return frames(looks, levels(action, frames=FRAMES, random=motion))


def encode(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write (frames, height, width, 3) RGB as H.264, every frame by itself."""
    height, width = pixels.shape[1:3]
    raw = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=RATE
    )
    exact = {"fflags": "+bitexact", "flags:v": "+bitexact", "threads": 1}
    raw.output(str(path), **CODING, **exact).run(
        cmd=imageio_ffmpeg.get_ffmpeg_exe(),
        input=pixels.tobytes(),
        quiet=True,
        overwrite_output=True,
    )
