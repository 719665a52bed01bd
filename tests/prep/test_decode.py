import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.ffmpeg_process import Ffmpeg, find_ffmpeg
from prep.limits import Limits
from prep.report import remark_on
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tests.prep.conftest import pixels
from tests.videos import CLIPS, FAST, make_changing, make_clip, make_rotated, run_ffmpeg

Decode = Callable[..., Clip | UnreadableVideo]

# Frames of each clip, the few whose header promises more or nothing among them.
FRAMES = {name: 40 if "forty" in name else 10 for name in CLIPS} | {
    "h264_sound.mkv": 40,
    "fragmented.mp4": 40,
    "stream.ts": 40,
    "bare.h264": 40,
    "mpeg1.mpg": 25,
    "variable_rate.mkv": 20,
    "one_frame.mp4": 1,
}


@pytest.mark.parametrize("name", [name for name in CLIPS if name != "sound_only.mp4"])
def test_whatever_ffmpeg_knows_is_decoded(
    decode: Decode, clips: dict[str, Path], name: str
) -> None:
    clip = decode(clips[name])
    assert isinstance(clip, Clip)
    assert len(clip.jpegs) == len(clip.times) == 8
    assert clip.decoded == FRAMES[name]
    assert clip.size == (64, 64)
    assert clip.complaint == ""
    assert list(clip.times) == sorted(clip.times)
    assert pixels(clip.jpegs[0]).shape == (64, 64, 3)


def test_the_chosen_frames_are_the_middles_of_equal_parts(
    decode: Decode, clips: dict[str, Path]
) -> None:
    clip = decode(clips["h264_forty.mp4"])
    assert clip.times == pytest.approx([0.2, 0.7, 1.2, 1.7, 2.2, 2.7, 3.2, 3.7])
    every = decode(clips["h264_forty.mp4"], frames=None)
    assert len(every.jpegs) == 40
    assert [every.jpegs[n] for n in (2, 7, 12, 17, 22, 27, 32, 37)] == list(clip.jpegs)


def test_a_rate_takes_so_many_frames_a_second(decode: Decode, clips: dict[str, Path]) -> None:
    clip = decode(clips["h264_forty.mp4"], fps=2.0)
    assert clip.times == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5])
    slow = decode(clips["variable_rate.mkv"], fps=2.0)
    assert len(slow.times) == 8
    assert all(math.floor(t * 2) == n for n, t in enumerate(slow.times))


def test_frames_of_a_variable_rate_are_passed_on_once_each(
    decode: Decode, clips: dict[str, Path]
) -> None:
    clip = decode(clips["variable_rate.mkv"], frames=None)
    steps = np.diff(clip.times)
    assert len(clip.times) == 20
    assert steps.min() == pytest.approx(0.1, abs=0.01)
    assert steps.max() == pytest.approx(0.3, abs=0.01)


def test_fewer_frames_than_asked_are_repeated(decode: Decode, clips: dict[str, Path]) -> None:
    clip = decode(clips["one_frame.mp4"])
    assert len(set(clip.jpegs)) == 1
    assert clip.decoded == 1
    ten = decode(clips["h264.mp4"], frames=20)
    assert ten.jpegs[::2] == ten.jpegs[1::2]
    assert len(set(ten.jpegs)) == 10


@pytest.mark.parametrize(("degrees", "shape"), [(90, (86, 64)), (180, (64, 86)), (270, (86, 64))])
def test_frames_stand_upright(decode: Decode, tmp_path: Path, degrees: int, shape: object) -> None:
    turned = decode(make_rotated(tmp_path, degrees), resize="short-side", frames=1)
    straight = decode(tmp_path / "h264.mp4", resize="short-side", frames=1)
    assert turned.size == shape
    expected = np.rot90(pixels(straight.jpegs[0]), degrees // 90)
    assert np.abs(pixels(turned.jpegs[0]) - expected).mean() < 6


def test_pixels_that_are_not_square_are_made_so(decode: Decode, clips: dict[str, Path]) -> None:
    clip = decode(clips["wide_pixels.mp4"], resize="short-side")
    assert clip.size == (64, 152)  # 64 x 48 of pixels 16:9 is shown as 113.8 x 48


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("span", ["tv", "pc"])
def test_colours_come_out_as_they_went_in(
    decode: Decode, tmp_path: Path, matrix: str, span: str
) -> None:
    path = tmp_path / "orange.mp4"
    tag = {"bt601": "smpte170m", "bt709": "bt709"}[matrix]
    convert = f"scale=out_color_matrix={matrix}:out_range={span},format=yuv420p"
    tags = ["-colorspace", tag, "-color_range", span]
    source = "color=0xE08020:size=64x64:rate=10:duration=0.5"
    run_ffmpeg("-f", "lavfi", "-i", source, "-vf", convert, *FAST.split(), *tags, path)
    clip = decode(path, frames=1)
    assert pixels(clip.jpegs[0]).mean(axis=(0, 1)) == pytest.approx([0xE0, 0x80, 0x20], abs=5)


def test_pictures_that_change_their_size_do_not_start_the_count_anew(
    decode: Decode, tmp_path: Path
) -> None:
    clip = decode(make_changing(tmp_path), frames=None)
    assert len(clip.jpegs) == clip.decoded == 20


@pytest.mark.parametrize("name", ["mpeg4_forty.avi", "h264_sound.mkv"])
def test_a_file_cut_short_gives_what_is_left_of_it(
    decode: Decode, clips: dict[str, Path], tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    content = clips[name].read_bytes()
    path.write_bytes(content[: len(content) // 2])
    clip = decode(path)
    assert isinstance(clip, Clip)
    assert clip.header_frames == 40
    assert 10 < clip.decoded < 30
    assert clip.times[-1] == pytest.approx(clip.decoded / 10, abs=0.3)
    video = SourceVideo("a class", name, name, 1)
    kinds = {remark.kind for remark in remark_on(video, clip, FrameSettings(frames=8))}
    assert kinds == {"too short", "damaged"}


def test_companions_make_no_difference(tool: Ffmpeg, clips: dict[str, Path]) -> None:
    decoder = Decoder(tool, FrameSettings(frames=8, size=64))
    paths = list(clips.values())
    together = decoder.decode(paths)
    for path, clip in zip(paths, together, strict=True):
        alone = decoder.decode([path])[0]
        assert repr(clip) == repr(alone), path.name


def test_a_broken_companion_harms_no_one(
    tool: Ffmpeg, clips: dict[str, Path], tmp_path: Path
) -> None:
    names = ["h264.mp4", "mpeg4.avi", "h264_forty.mp4"]
    paths = [make_clip(tmp_path, name) for name in names]
    content = paths[1].read_bytes()
    paths[1].write_bytes(content[:300] + bytes(len(content) - 300))
    broken = Decoder(tool, FrameSettings(frames=8, size=64)).decode(paths)
    assert isinstance(broken[1], UnreadableVideo)
    good = Decoder(tool, FrameSettings(frames=8, size=64)).decode([paths[0], paths[2]])
    assert [repr(broken[0]), repr(broken[2])] == list(map(repr, good))


def test_sound_alone_is_no_video(decode: Decode, clips: dict[str, Path]) -> None:
    assert str(decode(clips["sound_only.mp4"])) == "it has no video stream"


def test_what_is_not_there_is_said(decode: Decode, tmp_path: Path) -> None:
    assert "No such file" in str(decode(tmp_path / "nothing.mp4"))
    assert str(decode(tmp_path))  # a folder


def test_a_video_that_takes_too_long_is_given_up(decode: Decode, tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    source = "testsrc=size=640x480:rate=30:duration=60"
    run_ffmpeg("-f", "lavfi", "-i", source, *FAST.split(), path)
    # Also a busy machine, for which ffmpeg has more time, does not decode it in so little.
    reason = decode(path, Limits(seconds=0.005, seconds_per_mib=0))
    assert isinstance(reason, UnreadableVideo)
    assert "more than 0 seconds" in str(reason)


def test_pictures_beyond_the_limit_are_refused(decode: Decode, clips: dict[str, Path]) -> None:
    reason = decode(clips["h264.mp4"], Limits(pixels=32 * 32))
    assert isinstance(reason, UnreadableVideo)


def test_more_frames_than_fit_are_refused(decode: Decode, clips: dict[str, Path]) -> None:
    reason = decode(clips["h264_forty.mp4"], Limits(output_mib=0), frames=None)
    assert "more than 0 MiB" in str(reason)


def test_an_empty_file_is_said_to_be_one(decode: Decode, tmp_path: Path) -> None:
    (tmp_path / "empty.avi").touch()
    assert str(decode(tmp_path / "empty.avi")) == "the file is empty"


def test_memory_beyond_the_limit_is_refused(decode: Decode, tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    source = "color=red:size=3840x2160:rate=10:duration=0.5"
    run_ffmpeg("-f", "lavfi", "-i", source, *FAST.split(), path)
    assert isinstance(decode(path, Limits(memory_mib=50)), UnreadableVideo)
    assert isinstance(decode(path), Clip)


def test_settings_of_ffmpeg_in_the_environment_change_nothing(
    decode: Decode, clips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = decode(clips["h264.mp4"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FFREPORT", "file=log.txt:level=48")
    monkeypatch.setenv("AV_LOG_FORCE_COLOR", "1")
    assert repr(decode(clips["h264.mp4"])) == repr(before)
    assert not list(tmp_path.iterdir())


def test_an_ffmpeg_that_is_too_old_is_told(tmp_path: Path) -> None:
    old = tmp_path / "ffmpeg"
    old.write_text("#!/bin/sh\n[ $1 = -version ] && echo ffmpeg version 4.4.2 Copyright\n")
    old.chmod(0o755)
    with pytest.raises(UserError, match=r"version 6\.1"):
        find_ffmpeg(str(old))


def test_a_program_that_is_not_ffmpeg_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"'/bin/true'.*--ffmpeg"):
        find_ffmpeg("/bin/true")
    monkeypatch.setenv("TASD_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(UserError, match="/nowhere/ffmpeg"):
        find_ffmpeg()


@pytest.mark.parametrize(
    ("seconds", "by_header", "short"),
    [(0.8, 0.8, False), (0.4, 0.8, True), (8.0, 8.0, False), (5.0, 8.0, True), (0.0, 0.8, True)],
)
def test_dropped_frames_shorten_a_video_only_in_count(
    seconds: float, by_header: float, short: bool
) -> None:
    clip = Clip(
        (b"",),
        (0.0,),
        (2, 2),
        decoded=12,
        header_frames=24,
        seconds=seconds,
        header_seconds=by_header,
    )
    video = SourceVideo("c", "v", "c/v.mp4", 1)
    kinds = [remark.kind for remark in remark_on(video, clip, FrameSettings(frames=1))]
    assert kinds == (["too short"] if short else [])
