import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.frame_folders import frame_files, read_frame_folder
from tests.prep.conftest import pixels

SETTINGS = FrameSettings(frames=4, size=32)


def write(
    folder: Path, name: str, tint: int, size: tuple[int, int] = (64, 48), **o: object
) -> None:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", size, (tint, tint, tint)).save(folder / name, quality=95, **o)


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1, 11, 9):
        write(tmp_path / "v", f"frame{number}.jpg", number * 10)
    names = [path.name for path in frame_files(tmp_path / "v")]
    assert names == [f"frame{number}.jpg" for number in (1, 2, 9, 10, 11)]


def test_the_middles_of_equal_parts_are_kept_at_the_size_asked_for(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "v", f"{number:03}.jpeg", 20 * number)
    clip = read_frame_folder(tmp_path / "v", SETTINGS)
    assert isinstance(clip, Clip)
    assert clip.size == (32, 32)
    assert clip.decoded == 8
    assert all(math.isnan(time) for time in clip.times)
    tints = [pixels(jpeg).mean() for jpeg in clip.jpegs]
    assert tints == pytest.approx([20, 60, 100, 140], abs=2)


def test_frames_of_the_right_size_are_stored_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "v", "0.jpg", 50, size=(32, 32))
    clip = read_frame_folder(tmp_path / "v", SETTINGS)
    assert clip.jpegs == ((tmp_path / "v/0.jpg").read_bytes(),) * 4
    write(tmp_path / "v", "0.jpg", 50, size=(32, 32), progressive=True)
    clip = read_frame_folder(tmp_path / "v", SETTINGS)
    assert clip.jpegs[0] != (tmp_path / "v/0.jpg").read_bytes()


def test_a_turned_frame_is_put_upright(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    half = np.zeros((48, 64, 3), np.uint8)
    half[:, 32:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(half).save(tmp_path / "v/0.jpg", quality=95, exif=exif)
    clip = read_frame_folder(tmp_path / "v", FrameSettings(frames=1, size=32, resize="short-side"))
    assert clip.size == (42, 32)
    picture = pixels(clip.jpegs[0])
    assert picture[:16].mean() < 20
    assert picture[26:].mean() > 235


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xe0"])
def test_a_frame_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "v", "0.jpg", 50)
    (tmp_path / "v/1.jpg").write_bytes(content)
    reason = read_frame_folder(tmp_path / "v", SETTINGS)
    assert isinstance(reason, UnreadableVideo)
    assert "1.jpg" in str(reason)


def test_frames_without_times_have_no_rate(tmp_path: Path) -> None:
    write(tmp_path / "v", "0.jpg", 50)
    assert "--fps" in str(read_frame_folder(tmp_path / "v", FrameSettings(fps=5.0)))


def test_frames_of_different_shapes_are_no_video(tmp_path: Path) -> None:
    write(tmp_path / "v", "0.jpg", 50)
    write(tmp_path / "v", "1.jpg", 50, size=(48, 64))
    kept = FrameSettings(frames=4, size=32, resize="short-side")
    assert "shape" in str(read_frame_folder(tmp_path / "v", kept))
    assert isinstance(read_frame_folder(tmp_path / "v", SETTINGS), Clip)


def test_a_folder_without_frames_or_none_at_all_is_told(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    assert "no JPEG" in str(read_frame_folder(tmp_path / "v", SETTINGS))
    assert isinstance(read_frame_folder(tmp_path / "w", SETTINGS), UnreadableVideo)
