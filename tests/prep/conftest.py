"""Clips that are made once for all tests of prep, and a short call of a whole prep."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from prep.archives.find import root_folder
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
    """A recorder of the progress of a prep."""

    lines: list[str] = field(default_factory=list)
    videos: int = 0
    done: int = 0

    def begin(self, videos: int, size: int) -> None:
        self.videos = videos

    def advance(self, videos: int, size: int) -> None:
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
    """Decode one video alone, with few and small frames by default."""

    def decode_one(path: Path, limits: Limits | None = None, **settings: object) -> object:
        chosen = FrameSettings(**{"frames": 8, "size": 64, **settings})  # type: ignore[arg-type]
        return Decoder(tool, chosen, limits).decode([path])[0]

    return decode_one


@pytest.fixture(scope="session")
def run_into(tool: Ffmpeg) -> Callable[..., Report]:
    """Prepare a folder of videos into a store that is named."""

    def run_prep(
        root: Path,
        store: Path,
        *,
        dataset: str = "folder",
        settings: FrameSettings | None = None,
        listener: Listener | None = None,
        lists: tuple[Path, ...] = (),
        sources: Sources | None = None,
        limits: Limits | None = None,
        **options: object,
    ) -> Report:
        listener = listener or Listener()
        prep_settings = PrepSettings(
            root=root_folder(root),
            store=store,
            dataset=dataset,
            frame_settings=settings or FrameSettings(frames=4, size=32),
            tool=tool,
            limits=limits or Limits(),
        )
        rule = all_to_train if dataset == "folder" else None
        sources = sources or find_sources(
            DATASETS[dataset], root, lists, split_rule=rule, say=listener.say
        )
        return prepare(
            sources,
            prep_settings,
            on_start=listener.begin,
            on_progress=listener.advance,
            say=listener.say,
            **options,  # type: ignore[arg-type]
        )

    return run_prep


@pytest.fixture
def run(run_into: Callable[..., Report], tmp_path: Path) -> Callable[..., Report]:
    """Prepare a folder of videos into a store, that of the test where none is named."""

    def run_prep(root: Path, store: Path | None = None, **options: object) -> Report:
        return run_into(root, store or tmp_path / "store", **options)

    return run_prep


def all_to_train(names: Sequence[str], kept: object) -> dict[str, tuple[str, ...]]:
    """Put all classes into train."""
    return {"train": tuple(names), "val": (), "test": ()}


def pixels(jpeg: bytes) -> NDArray[np.float64]:
    """Decode a frame to red, green and blue from 0 to 255."""
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def content(store: Path) -> dict[str, bytes]:
    """Read all files of a store, by name, except its lock."""
    files = [path for path in store.iterdir() if path.is_file() and path.name != ".lock"]
    return {path.name: path.read_bytes() for path in files}
