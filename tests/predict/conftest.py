"""A run on a store with the settings of its frames, weights of a backbone, and clips to label."""

import shutil
from pathlib import Path

import pytest
import torch

from tasd import backbones
from tests.runs import small_config, small_run
from tests.stores import write_store
from tests.videos import make_clip


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a store and a tiny run; tests copy it."""
    home = tmp_path_factory.mktemp("predict")
    store = write_store(home / "stores" / "folder", frames=8)
    (home / "runs").mkdir()
    small_run(store, home / "runs" / "tiny", small_config(recipe="baseline", episodes=2))
    return home


@pytest.fixture
def home(trained_once, tmp_path, monkeypatch) -> Path:
    """A copy for one test."""
    shutil.copytree(trained_once, tmp_path / "home")
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips that decode: tall and narrow test patterns."""
    folder = tmp_path_factory.mktemp("clips")
    for name in ("mpeg4.avi", "h264_forty.mp4", "vp9.webm", "motion_jpeg.avi", "wide_pixels.mp4"):
        make_clip(folder, name)
    return folder


@pytest.fixture
def support(clips, tmp_path) -> Path:
    """Two classes with two clips and one clip: unequal shots."""
    folder = tmp_path / "support"
    for name, class_name in (
        ("mpeg4.avi", "waving"),
        ("vp9.webm", "waving"),
        ("h264_forty.mp4", "jumping"),
    ):
        (folder / class_name).mkdir(parents=True, exist_ok=True)
        shutil.copy(clips / name, folder / class_name)
    return folder


@pytest.fixture(scope="session")
def resnet8_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights for the smallest backbone, random but always the same."""
    path = tmp_path_factory.mktemp("weights") / "resnet8.pth"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(backbones.build("resnet8").state_dict(), path)
    return path


@pytest.fixture
def empty_home(tmp_path, monkeypatch) -> Path:
    """A home without runs."""
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "empty home"))
    return tmp_path / "empty home"
