"""Clips made once for all tests of prep, and the shortest way to a store."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.ffmpeg_process import Ffmpeg, find_ffmpeg
from prep.limits import Limits
from prep.prepare import prepare
from prep.report import Report
from prep.shard import PrepSettings
from prep.sources import Sources, find_sources
from tasd.datasets import DATASETS
from tests.videos import CLIPS, make_clip


@dataclass
class Listener:
    """An audience that remembers what it was told."""

    lines: list[str] = field(default_factory=list)
    videos: int = 0
    done: int = 0

    def begin(self, *, videos: int, size: int) -> None:
        self.videos = videos

    def told(self, videos: int, size: int) -> None:
        self.done += videos

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="session")
def tool() -> Ffmpeg:
    return find_ffmpeg()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {name: make_clip(folder, name) for name in CLIPS}


@pytest.fixture(scope="session")
def decode(tool: Ffmpeg) -> Callable[..., Clip | UnreadableVideo]:
    """Decode one video alone, with small pictures unless told otherwise."""

    def decode_one(path: Path, limits: Limits | None = None, **settings: object) -> object:
        chosen = FrameSettings(**{"frames": 8, "size": 64, **settings})  # type: ignore[arg-type]
        return Decoder(tool, chosen, limits).decode([path])[0]

    return decode_one


@pytest.fixture
def run(tool: Ffmpeg, tmp_path: Path) -> Callable[..., Report]:
    """Prepare a folder of videos into a store, through the whole of prep."""

    def run_prep(
        root: Path,
        store: Path | None = None,
        *,
        dataset: str = "folder",
        settings: FrameSettings | None = None,
        listener: Listener | None = None,
        lists: tuple[Path, ...] = (),
        wanted: Sources | None = None,
        limits: Limits | None = None,
        **options: object,
    ) -> Report:
        listener = listener or Listener()
        recipe = PrepSettings(
            root=root,
            store=store or tmp_path / "store",
            dataset=dataset,
            settings=settings or FrameSettings(frames=4, size=32),
            tool=tool,
            limits=limits or Limits(),
        )
        deal = all_to_train if dataset == "folder" else None
        wanted = wanted or find_sources(DATASETS[dataset], root, lists, deal=deal, say=listener.say)
        return prepare(wanted, recipe, listener, **options)  # type: ignore[arg-type]

    return run_prep


def all_to_train(names: Sequence[str], kept: object) -> dict[str, tuple[str, ...]]:
    """The simplest split."""
    return {"train": tuple(names), "val": (), "test": ()}


def pixels(jpeg: bytes) -> NDArray[np.float64]:
    """A frame as red, green and blue from 0 to 255."""
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def content(store: Path) -> dict[str, bytes]:
    """All files of a store by name, but for its lock."""
    return {path.name: path.read_bytes() for path in store.iterdir() if path.name != ".lock"}
