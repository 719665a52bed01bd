"""Genuine clips, and files as in collections from the internet."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.report import Report
from tasd.store import Store
from tests.prep.conftest import pixels

Run = Callable[..., Report]
FULL = FrameSettings(frames=32, size=256, resize="short-side")

# Height and width as shown, of the odd ones that have frames.
SHOWN = {
    "-name-begins-with-dash": (256, 256),
    "av1": (256, 456),
    "corrupt_nal": (256, 456),
    "h264_10bit": (256, 256),
    "no_duration_vp9": (256, 456),
    "one_pixel": (256, 256),
    "rotated_90": (454, 256),
    "sar_16_9_one_frame": (256, 606),
    "truncated": (256, 342),
    "variable_fps_yuv444": (256, 256),
}
UNREADABLE = {
    "odd/audio_only": "it has no video stream",
    "odd/header_only": "it has no frame that decodes",
    "odd/zero_bytes": "the file is empty",
}


def test_every_odd_file_is_prepared_or_reported(run: Run, tmp_path: Path, shared: Path) -> None:
    shutil.copytree(shared / "data/odd", tmp_path / "videos/odd")
    report = run(tmp_path / "videos", settings=FULL, workers=2)
    kinds = {(remark.video.removeprefix("odd/"), remark.kind) for remark in report.remarks}
    lost = {remark.video: remark.reason for remark in report.remarks if remark.kind == "unreadable"}
    assert lost == UNREADABLE
    assert ("truncated", "too short") in kinds
    assert {("corrupt_nal", "damaged"), ("truncated", "damaged")} <= kinds
    short = {video for video, kind in kinds if kind == "repeated frames"}
    assert {"one_pixel", "rotated_90", "sar_16_9_one_frame", "truncated"} <= short
    with Store(tmp_path / "store") as store:
        sizes = {video.name: video.size for video in store.videos.values()}
        assert sizes == SHOWN
        assert {video.frames for video in store.videos.values()} == {32}


def test_a_turned_video_of_a_person_stands_upright(
    decode: Callable[..., Clip | UnreadableVideo], shared: Path
) -> None:
    clip = decode(shared / "data/odd/rotated_90.mov", resize="short-side", size=256, frames=1)
    assert clip.size == (454, 256)


@pytest.mark.parametrize(
    ("dataset", "folder", "videos"),
    [("ucf101", "UCF-101", 11), ("hmdb51", "hmdb51_org", 1), ("kinetics", "kinetics", 2)],
)
def test_genuine_clips_are_prepared_whole(
    run: Run, tmp_path: Path, shared: Path, dataset: str, folder: str, videos: int
) -> None:
    report = run(shared / "data/videos" / folder, dataset=dataset, settings=FULL, workers=2)
    assert report.counts["prepared"] == videos
    assert report.remarks == ()
    with Store(tmp_path / "store") as store:
        for video in store.videos.values():
            assert video.frames == 32
            times = store.frame_times(video.id)
            steps = np.diff(times)
            assert times[0] >= 0
            assert steps.min() > 0.5 * steps.mean()
            assert steps.max() < 1.6 * steps.mean()
            frames = [pixels(jpeg.tobytes()) for jpeg in store.jpegs(video.id, [0, 31])]
            assert all(frame.std() > 10 for frame in frames)
