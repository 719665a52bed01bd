from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prep.clip import FrameSettings
from prep.report import Report
from prep.show import contact_sheet, show_store
from tasd.errors import UserError
from tasd.store import Store
from tests.prep.conftest import pixels
from tests.videos import make_tree


@pytest.fixture
def store(run: Callable[..., Report], tmp_path: Path, clips: dict[str, Path]) -> Path:
    root = make_tree(tmp_path / "videos", clips["h264_forty.mp4"], classes=2, videos=2)
    (root / "class 01/video_001.mp4").rename(root / "class 01/alone.mp4")
    run(root, settings=FrameSettings(frames=10, size=128))
    return tmp_path / "store"


def test_a_store_tells_what_it_holds(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_store(store)
    output = capsys.readouterr().out
    assert "4 videos, 40 frames" in output
    assert "frames 10" in output
    assert [line.split("│") for line in output.splitlines() if line.strip().startswith("train")]


def test_a_contact_sheet_shows_the_frames_in_order(store: Path, tmp_path: Path) -> None:
    show_store(store, video="class 00/video_000", out=tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image, dtype=float)
    with Store(store) as opened:
        frame = pixels(opened.jpegs("class 00/video_000", [9])[0].tobytes())
    left, top = 4 + 1 * 132, 4 + 1 * (128 + 14 + 4)  # the tenth frame: second row, second column
    assert np.abs(sheet[top : top + 128, left : left + 128] - frame).mean() < 1


def test_a_name_without_its_class_will_do_where_only_one_has_it(store: Path) -> None:
    with Store(store) as opened:
        assert contact_sheet(opened, "class 01/alone").size[0] == 8 * 132 + 4
    show_store(store, video="alone", out=store.parent / "alone.png")
    assert (store.parent / "alone.png").exists()


def test_what_cannot_be_shown_is_told(store: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no single video .* 'video_000'; did you mean 'class 00/video_000'"
    ):
        show_store(store, video="video_000")
    with pytest.raises(UserError, match=r"'nothing like it'; ids are class/name"):
        show_store(store, video="nothing like it")
    with pytest.raises(UserError, match="--video"):
        show_store(store, out=tmp_path / "sheet.png")
    with pytest.raises(UserError, match="cannot be written"):
        show_store(store, video="alone", out=store / "manifest.json/sheet.png")
    with pytest.raises(UserError, match="no picture ends in that"):
        show_store(store, video="alone", out=tmp_path / "sheet.of_no_kind")
