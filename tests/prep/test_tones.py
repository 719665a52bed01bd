"""Grey levels: HDR is tone-mapped where ffmpeg can, and full and limited range are told apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.ffmpeg_process import Ffmpeg
from tests.prep.conftest import pixels
from tests.videos import make_changing, run_ffmpeg

Decode = Callable[..., Clip | UnreadableVideo]
HEVC = ("-c:v", "libx265", "-x265-params", "log-level=error")
H264 = ("-c:v", "libx264", "-qp", "1")
PQ, HLG = "smpte2084", "arib-std-b67"
# Codes of 10 bits in limited range. PQ: 0, 10, 100, 203, 1,000 cd/m2; HLG: 0, 38, 50, 75, 100 %.
PQ_CODES, HLG_CODES = (64, 328, 509, 573, 723), (64, 397, 502, 721, 940)


def make_grey(
    path: Path,
    level: int,
    *codec: str,
    pixel: str = "yuv420p10le",
    span: str = "tv",
    transfer: str = "bt709",
    primaries: str = "bt709",
    matrix: str = "bt709",
) -> Path:
    """A clip of one grey, whose codes and tags are those given here."""
    tags = f"setparams=range={span}:color_trc={transfer}:color_primaries={primaries}"
    middle = 512 if "10" in pixel else 128
    grey = f"geq=lum={level}:cb={middle}:cr={middle}"
    source = f"color=black:size=64x48:rate=10:duration=0.5,format={pixel},{grey}"
    run_ffmpeg("-f", "lavfi", "-i", f"{source},{tags}:colorspace={matrix}", *codec, path)
    return path


def shade(clip: Clip | UnreadableVideo) -> float:
    assert isinstance(clip, Clip), clip
    picture = pixels(clip.jpegs[0])
    assert np.ptp(picture.mean(axis=(0, 1))) < 4  # grey stays grey
    return float(picture.mean())


def hdr(folder: Path, transfer: str, level: int, **tags: str) -> Path:
    tags = {"primaries": "bt2020", "matrix": "bt2020nc", **tags}
    path = folder / f"{transfer}{level}{''.join(tags.values())}.mp4"
    return make_grey(path, level, *HEVC, transfer=transfer, **tags)


@pytest.mark.parametrize(
    ("transfer", "codes", "shades"),
    [(PQ, PQ_CODES, (0, 70, 184, 234, 255)), (HLG, HLG_CODES, (0, 108, 144, 234, 255))],
)
def test_hdr_is_tone_mapped(
    decode: Decode, tmp_path: Path, transfer: str, codes: tuple[int, ...], shades: tuple[int, ...]
) -> None:
    clips = [decode(hdr(tmp_path, transfer, code), frames=2) for code in codes]
    assert [shade(clip) for clip in clips] == pytest.approx(shades, abs=6)
    assert {code for clip in clips for code, _ in clip.remarks} == {"tone_mapped"}  # type: ignore[union-attr]


@pytest.mark.parametrize("codec", [HEVC, H264])
def test_hdr_of_full_range_has_the_same_grey(
    decode: Decode, tmp_path: Path, codec: tuple[str, ...]
) -> None:
    tags = {"transfer": PQ, "primaries": "bt2020", "matrix": "bt2020nc"}
    path = make_grey(tmp_path / "full.mp4", 594, *codec, span="pc", **tags)
    assert shade(decode(path, frames=1)) == pytest.approx(234, abs=6)


def test_hdr_that_does_not_tell_its_primaries_is_taken_for_bt2020(
    decode: Decode, tmp_path: Path
) -> None:
    for tags in ({"matrix": "unknown", "primaries": "unknown"}, {"primaries": "unknown"}):
        clip = decode(hdr(tmp_path, PQ, 573, **tags), frames=1)
        assert shade(clip) == pytest.approx(234, abs=6)


@pytest.mark.parametrize("frames", [4, None])
def test_hdr_in_a_second_track_of_a_variable_rate_or_of_all_frames(
    decode: Decode, tmp_path: Path, frames: int | None
) -> None:
    path, out = hdr(tmp_path, PQ, 573), tmp_path / "two.mkv"
    small = "color=red:size=32x32:rate=10:duration=0.5"
    disposition = ("-disposition:v:0", "0", "-disposition:v:1", "default")
    inputs = ("-f", "lavfi", "-i", small, "-i", path, "-map", "0:v", "-map", "1:v")
    run_ffmpeg(*inputs, "-c:v:0", "libx264", "-c:v:1", "copy", *disposition, out)
    clip = decode(out, frames=frames)
    assert shade(clip) == pytest.approx(234, abs=6)
    assert [code for code, _ in clip.remarks] == ["tracks", "tone_mapped"]  # type: ignore[union-attr]


def test_an_ffmpeg_without_zscale_leaves_a_remark(tool: Ffmpeg, tmp_path: Path) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text(
        '#!/bin/sh\ncase "$*" in *zscale=*)\n'
        "  echo \"[AVFilterGraph @ 0x1] [error] No such filter: 'zscale'\" >&2; exit 1;; esac\n"
        f'exec {tool.program} "$@"\n'
    )
    script.chmod(0o755)
    old = Ffmpeg(str(script), tool.version)
    clip = Decoder(old, FrameSettings(frames=1, size=64)).decode([hdr(tmp_path, PQ, 573)])[0]
    assert isinstance(clip, Clip)
    assert shade(clip) == pytest.approx(147, abs=4)
    assert [code for code, _ in clip.remarks] == ["hdr"]
    assert clip.complaint == ""


def test_usual_colours_are_not_tone_mapped(decode: Decode, tmp_path: Path) -> None:
    for transfer in ("bt709", "bt2020-10", "unknown", "iec61966-2-1"):
        path = make_grey(tmp_path / f"{transfer}.mp4", 502, *HEVC, transfer=transfer)
        clip = decode(path, frames=1)
        assert shade(clip) == pytest.approx(128, abs=2)
        assert clip.remarks == ()  # type: ignore[union-attr]


RANGES = {
    "yuv420p tv": ((16, 0), (126, 128), (235, 255)),
    "yuv420p pc": ((32, 32), (128, 128), (220, 220)),
    "yuv420p unknown": ((16, 0), (126, 128), (235, 255)),
    "yuvj420p pc": ((32, 32), (128, 128), (220, 220)),
    "yuv444p pc": ((32, 32), (128, 128), (220, 220)),
    "yuv444p tv": ((16, 0), (126, 128), (235, 255)),
    "yuv420p10le tv": ((64, 0), (502, 128), (940, 255)),
    "yuv420p10le pc": ((128, 32), (512, 128), (880, 219)),
}


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_grey_levels_of_full_and_limited_range(
    decode: Decode, tmp_path: Path, kind: str, name: str
) -> None:
    pixel, span = kind.split()
    for code, expected in RANGES[kind]:
        path = make_grey(tmp_path / f"{code}{name}", code, *H264, pixel=pixel, span=span)
        assert shade(decode(path, frames=1)) == pytest.approx(expected, abs=2), code


@pytest.mark.parametrize("span", ["pc", "tv"])
def test_grey_levels_of_motion_jpeg(decode: Decode, tmp_path: Path, span: str) -> None:
    codes = {"pc": ((32, 32), (128, 128), (220, 220)), "tv": ((16, 0), (126, 128), (235, 255))}
    for code, expected in codes[span]:
        quality = ("-c:v", "mjpeg", "-q:v", "2", "-strict", "unofficial")
        pixel = "yuvj420p" if span == "pc" else "yuv420p"
        path = make_grey(tmp_path / f"{code}.mov", code, *quality, pixel=pixel, span=span)
        assert shade(decode(path, frames=1)) == pytest.approx(expected, abs=3), code


def test_pictures_that_change_their_size_keep_their_levels(decode: Decode, tmp_path: Path) -> None:
    clip = decode(make_changing(tmp_path), frames=20, resize="short-side")
    assert isinstance(clip, Clip)
    assert pixels(clip.jpegs[-1])[:, :10].max() < 8  # sides as black as black
