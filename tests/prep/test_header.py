import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prep.header import header_count
from tests.videos import make_clip, run_ffmpeg

COUNTED = {
    "mpeg4.avi": 10,
    "mpeg4_forty.avi": 40,
    "h264.mp4": 10,
    "h264_forty.mp4": 40,
    "h264_sound.mkv": 40,
    "vp9.webm": 10,
    "vp8_alpha.webm": 10,
    "h263.3gp": 10,
    "motion_jpeg.avi": 10,
    "one_frame.mp4": 1,
    "two_videos.mp4": 10,
    "cover_art.mp4": 10,
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_header_tells_the_count_of_frames(clips: dict[str, Path], name: str) -> None:
    counted = header_count(clips[name])
    assert counted is not None
    assert counted.frames == COUNTED[name]
    assert counted.exact == (not name.endswith(("mkv", "webm")))


@pytest.mark.parametrize("name", ["fragmented.mp4", "stream.ts", "flash.flv", "sound_only.mp4"])
def test_where_the_header_says_nothing_nothing_is_promised(
    clips: dict[str, Path], name: str
) -> None:
    assert header_count(clips[name]) is None


def test_an_edit_list_counts_only_what_is_shown(tmp_path: Path) -> None:
    whole = make_clip(tmp_path, "h264_forty.mp4")
    cut = tmp_path / "cut.mp4"
    run_ffmpeg("-ss", "2.05", "-i", whole, "-c", "copy", cut)
    counted = header_count(cut)
    assert counted is not None
    assert abs(counted.frames - 20) <= 1


def test_what_is_no_video_promises_nothing(tmp_path: Path) -> None:
    for name, content in {
        "empty": b"",
        "text": b"ffconcat version 1.0\n",
        "riff": b"RIFF\x00\x00\x00\x00AVI ",
        "mkv": b"\x1a\x45\xdf\xa3",
        "zero_size": struct.pack(">I4s", 0, b"moov") * 3,
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert header_count(path) is None
    with pytest.raises(FileNotFoundError):
        header_count(tmp_path / "not there")
    assert header_count(tmp_path) is None


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_damage_to_a_header_is_more_than_no_promise(
    clips: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["mpeg4.avi", "h264.mp4", "h264_sound.mkv", "vp9.webm"]))
    content = bytearray(clips[name].read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 9))
        content[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    path = tmp_path / "mutated"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    counted = header_count(path)
    assert counted is None or counted.frames > 0


def test_a_table_that_claims_to_be_enormous_is_not_read(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    content = clips["h264.mp4"].read_bytes()
    at = content.index(b"stts") + 8
    path = tmp_path / "enormous.mp4"
    path.write_bytes(content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :])
    assert header_count(path) is None
    assert os.path.getsize(path) == len(content)
