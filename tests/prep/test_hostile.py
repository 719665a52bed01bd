"""Files that make ffmpeg open other files are refused, whatever their names are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from prep.clip import Clip, UnreadableVideo
from prep.ffmpeg_process import Ffmpeg, run_ffmpeg
from prep.filters import Request
from prep.limits import Limits
from tests.videos import make_clip
from tests.videos import run_ffmpeg as make

NAMES = ("video.avi", "video.mp4", "video.mkv", "video.webm", "video", "video.m3u8", "video.jpg")
HOSTILE = {
    "a list of files": "ffconcat version 1.0\nfile secret.mp4\n",
    "an HLS playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "a DASH manifest": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'type="static"><Period><AdaptationSet><Representation><BaseURL>secret.mp4</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "a session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\n",
    "a script": 'FFmpegSource2("secret.mp4")\n',
    "subtitles": "1\n00:00:00,000 --> 00:00:05,000\nHello\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", NAMES)
def test_a_text_that_names_other_files_is_refused(
    decode: Callable[..., Clip | UnreadableVideo], tmp_path: Path, kind: str, name: str
) -> None:
    make_clip(tmp_path, "h264.mp4").rename(tmp_path / "secret.mp4")
    path = tmp_path / name
    path.write_text(HOSTILE[kind])
    assert isinstance(decode(path), UnreadableVideo)


def test_a_name_that_is_a_pattern_of_images_is_only_a_name(
    decode: Callable[..., Clip | UnreadableVideo], tmp_path: Path
) -> None:
    make("-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1", tmp_path / "image%03d.jpg")
    assert (tmp_path / "image001.jpg").exists()
    assert isinstance(decode(tmp_path / "image%03d.jpg"), UnreadableVideo)
    (tmp_path / "image001.jpg").rename(tmp_path / "image%03d.avi")
    assert str(decode(tmp_path / "image%03d.avi")) == "an image (JPEG)"
    clip = make_clip(tmp_path, "h264.mp4").rename(tmp_path / "clip%03d.mp4")
    assert isinstance(decode(clip), Clip)


@pytest.mark.parametrize(
    "name",
    ["-y.mp4", "pipe:0.mp4", "concat:a|b.mp4", "http://127.0.0.1/a.mp4", "file:x.mp4", "a,b'c.mp4"],
)
def test_a_name_is_never_an_option_or_a_protocol(
    decode: Callable[..., Clip | UnreadableVideo],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    target = tmp_path / name
    target.parent.mkdir(parents=True, exist_ok=True)
    make_clip(tmp_path, "h264.mp4").rename(target)
    assert isinstance(decode(target), Clip)
    monkeypatch.chdir(tmp_path)
    assert isinstance(decode(Path(name)), Clip)


def test_the_whitelists_are_what_refuses(tool: Ffmpeg, tmp_path: Path) -> None:
    make_clip(tmp_path, "h264.mp4").rename(tmp_path / "secret.mp4")
    path = tmp_path / "list.avi"
    path.write_text(HOSTILE["a list of files"])
    run = run_ffmpeg([Request(path)], tool=tool, resize="square", size=32, limits=Limits())
    assert run.streams == [b""]
    assert run.log.cause == "its container is not one that prep opens"
    make("-f", "concat", "-i", path, tmp_path / "made.mp4")  # what ffmpeg does otherwise
    assert (tmp_path / "made.mp4").stat().st_size > 1000
