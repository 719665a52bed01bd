"""Videos are the same for the same seed, and a coded frame has no trace of its neighbours."""

import json
from pathlib import Path

import ffmpeg
import imageio_ffmpeg
import numpy as np
import pytest

import tasd.demo.generate as generate_module
from tasd.demo.actions import ACTIONS
from tasd.demo.generate import FRAMES, SIDE, draw_video, encode, generate

MOVING = next(action for action in ACTIONS if action.name == "rises spinning")


def decode(path: Path) -> np.ndarray:
    raw, _ = (
        ffmpeg.input(str(path))
        .output("pipe:", format="rawvideo", pix_fmt="rgb24")
        .run(cmd=imageio_ffmpeg.get_ffmpeg_exe(), quiet=True)
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, SIDE, SIDE, 3)


def test_a_video_survives_its_coding(tmp_path: Path) -> None:
    pixels = draw_video(MOVING, seed=0, number=0)
    encode(pixels, tmp_path / "video.mp4")
    decoded = decode(tmp_path / "video.mp4")
    assert decoded.shape == (FRAMES, SIDE, SIDE, 3)
    # Colour is stored at half resolution, so thin coloured edges differ.
    assert np.abs(decoded.astype(int) - pixels).mean() < 6


@pytest.mark.parametrize("frame", [0, 13])
def test_a_coded_frame_is_the_same_in_a_moving_and_in_a_still_video(
    tmp_path: Path, frame: int
) -> None:
    moving = draw_video(MOVING, seed=0, number=0)
    encode(moving, tmp_path / "moving.mp4")
    encode(np.repeat(moving[[frame]], FRAMES, axis=0), tmp_path / "still.mp4")
    assert np.array_equal(
        decode(tmp_path / "moving.mp4")[frame], decode(tmp_path / "still.mp4")[frame]
    )


def test_coding_between_frames_would_leave_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coding = {**generate_module.CODING, "g": FRAMES}
    monkeypatch.setattr(generate_module, "CODING", coding)
    moving = draw_video(MOVING, seed=0, number=0)
    encode(moving, tmp_path / "moving.mp4")
    encode(np.repeat(moving[[13]], FRAMES, axis=0), tmp_path / "still.mp4")
    assert not np.array_equal(
        decode(tmp_path / "moving.mp4")[13], decode(tmp_path / "still.mp4")[13]
    )


def test_a_folder_holds_every_class_and_its_split(tmp_path: Path) -> None:
    (tmp_path / "videos" / "of an earlier time").mkdir(parents=True)
    done = []
    made = generate(tmp_path, per_class=1, seed=0, done=lambda: done.append(1))
    files = sorted(made.root.glob("*/*.mp4"))
    assert len(files) == made.videos == len(done) == len(ACTIONS) == made.classes
    assert sorted(p.name for p in made.root.iterdir()) == sorted(a.name for a in ACTIONS)
    split = json.loads(made.split.read_text())
    named = [name for names in split.values() for name in names]
    assert sorted(named) == sorted({file.parent.name for file in files})
    assert len(named) == len(set(named))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        encode(draw_video(MOVING, seed=seed, number=3), tmp_path / f"{name}.mp4")
    a, b, c = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_two_videos_of_a_class_look_different() -> None:
    first, second = (draw_video(MOVING, seed=0, number=number) for number in (0, 1))
    assert np.abs(first[0].astype(int) - second[0]).mean() > 5
