import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prep import attempts
from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.explain import refuse_noise
from prep.ffmpeg_process import Ffmpeg
from prep.report import Report, remark_on
from prep.sources import find_sources
from tasd.datasets import DATASETS, SourceVideo
from tasd.errors import UserError
from tasd.store import Store
from tests.prep.conftest import Listener, pixels
from tests.videos import make_changing, make_clip, make_tree, run_ffmpeg

Decode = Callable[..., Clip | UnreadableVideo]
Run = Callable[..., Report]


def png() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (8, 8)).save(written, "PNG")
    return written.getvalue()


CONTENT = {
    "html": b"\n<!DOCTYPE html><html>Not found</html>",
    "git_lfs_pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "text": b"ERROR 404: video unavailable\n",
    "archive": b"PK\x03\x04" + bytes(60),
    "image": png(),
    "audio": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + bytes(20),
    "program": b"MZ\x90\0" + bytes(400),
    "data": b"\x93NUMPY\x01\0" + bytes(200),
    "unknown": bytes(n * n * 31 % 256 for n in range(999)),
    "zeros": bytes(5000),
    "empty": b"",
}


@pytest.mark.parametrize("code", CONTENT)
def test_a_file_that_is_no_video_is_called_by_its_name(
    decode: Decode, tmp_path: Path, code: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(CONTENT[code])
    reason = decode(tmp_path / "a.mp4")
    assert isinstance(reason, UnreadableVideo)
    assert reason.code == code


OTHERS = {
    "an archive (zip)": b"PK\x05\x06" + bytes(18),
    "a text (XML), not a video": b'<?xml version="1.0"?><Error>AccessDenied</Error>',
    "an HTML page, not a video": b'<?xml version="1.0"?><html xmlns="x"></html>',
    "a text, not a video": "Vid\xe9o non disponible, d\xe9sol\xe9".encode("latin1"),
    "an image (HEIC)": b"\0\0\0\x18ftypheix\0\0\0\0mif1heix" + bytes(100),
    "an image (JPEG XL)": b"\xff\x0a" + bytes(range(200)),
    "an audio file (AIFF)": b"FORM\0\0\1\0AIFFCOMM" + bytes(300),
    "a torrent, not the file itself": b"d8:announce35:udp://tracker" + bytes([200, 0, 1]) * 20,
}


@pytest.mark.parametrize("words", OTHERS)
def test_more_kinds_of_files_are_called_by_their_names(
    decode: Decode, tmp_path: Path, words: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(OTHERS[words])
    assert str(decode(tmp_path / "a.mp4")) == words


def test_an_encrypted_video_is_told(decode: Decode, tmp_path: Path) -> None:
    key = ("-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb")
    scheme = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_kid", "a7e61c373e219033" * 2)
    make_clip(tmp_path, "h264.mp4")
    source = ("-i", tmp_path / "h264.mp4", "-c", "copy")
    run_ffmpeg(*source, *scheme, *key, tmp_path / "drm.mp4")
    reason = decode(tmp_path / "drm.mp4")
    assert isinstance(reason, UnreadableVideo)
    assert (reason.code, "encrypted" in str(reason)) == ("encrypted", True)
    # By chance some of the noise decodes.
    noise = Clip((b"",), (0.0,), (2, 2), decoded=1, complaint="error while decoding MB 0 0")
    with pytest.raises(UnreadableVideo, match="encrypted"):
        refuse_noise(noise, tmp_path / "drm.mp4")
    refuse_noise(noise, tmp_path / "h264.mp4")
    refuse_noise(replace(noise, complaint=""), tmp_path / "drm.mp4")


def test_of_equal_tracks_the_first_is_said_to_be_taken(decode: Decode, tmp_path: Path) -> None:
    make_clip(tmp_path, "h264.mp4")
    source = ("-i", tmp_path / "h264.mp4", "-map", "0:v", "-map", "0:v", "-c", "copy")
    run_ffmpeg(*source, tmp_path / "two.ts")
    clip = decode(tmp_path / "two.ts")
    assert isinstance(clip, Clip)
    ((code, text),) = clip.remarks
    assert (code, "the first is taken, number 0" in text) == ("tracks", True)


def test_the_cause_is_told_and_not_the_last_line(decode: Decode, shared: Path) -> None:
    reason = decode(shared / "cases/cause_not_told/root/a/no_moov.mp4")
    assert isinstance(reason, UnreadableVideo)
    assert (reason.code, "moov atom not found" in str(reason)) == ("no_moov", True)
    (remark,) = remark_on(SourceVideo("a", "b", "c", 1), reason, FrameSettings())
    assert remark.code == "no_moov"


def test_the_track_that_a_player_shows_is_taken(decode: Decode, shared: Path) -> None:
    root = shared / "cases/two_tracks/root"
    for name, frames in (("a/thumbs_first.mov", 100), ("b/second_is_default.mkv", 50)):
        clip = decode(root / name, frames=None)
        assert isinstance(clip, Clip)
        assert clip.decoded == frames
        assert [code for code, _ in clip.remarks] == ["tracks"]


def test_pictures_that_change_their_size_keep_their_shape(decode: Decode, tmp_path: Path) -> None:
    clip = decode(make_changing(tmp_path), resize="short-side")
    assert isinstance(clip, Clip)
    assert [code for code, _ in clip.remarks] == ["sizes"]
    late = pixels(clip.jpegs[-1])
    assert np.abs(late[:, :15]).mean() < 5  # a tall picture in a wide one has black sides
    assert late[:, 30:55].mean() > 50


def test_a_picture_too_narrow_for_a_jpeg_is_told(decode: Decode, tmp_path: Path) -> None:
    source = "testsrc=size=2x1200:rate=10:duration=0.5"
    run_ffmpeg(
        "-f", "lavfi", "-i", source, "-c:v", "libx264", "-pix_fmt", "yuv444p", tmp_path / "a.mp4"
    )
    reason = decode(tmp_path / "a.mp4", resize="short-side", size=256)
    assert isinstance(reason, UnreadableVideo)
    assert reason.code == "shape"
    assert "2 x 1200" in str(reason)


def test_an_ffmpeg_killed_from_outside_is_started_again(
    tool: Ffmpeg, clips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAUSES", (0.0, 0.0))
    mark = tmp_path / "killed once"
    script = tmp_path / "ffmpeg"
    script.write_text(
        f'#!/bin/sh\n[ -e "{mark}" ] || {{ touch "{mark}"; kill -9 $$; }}\n'
        f'exec {tool.program} "$@"\n'
    )
    script.chmod(0o755)
    flaky = Ffmpeg(str(script), tool.version)
    assert isinstance(Decoder(flaky, FrameSettings(size=64)).decode([clips["h264.mp4"]])[0], Clip)
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    reason = Decoder(flaky, FrameSettings(size=64)).decode([clips["h264.mp4"]])[0]
    assert isinstance(reason, UnreadableVideo)
    assert reason.code == "killed"


def test_what_was_killed_is_tried_again_by_the_next_prep(
    run: Run, tmp_path: Path, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "videos", clips["h264.mp4"], classes=2, videos=2)
    killed = UnreadableVideo("ffmpeg ended with signal 9", code="killed")
    with monkeypatch.context() as patch:
        real = Decoder.decode
        patch.setattr(Decoder, "decode", lambda self, paths: [*real(self, paths)[:-1], killed])
        from prep.shard import write_shard

        monkeypatch.setattr(
            "prep.prepare.write_shards",
            lambda jobs, settings, **_: (write_shard(job, settings) for job in jobs),
        )
        assert run(root).counts["unreadable"] == 1
    report = run(root)
    assert (report.counts["unreadable"], report.counts["prepared"]) == (0, 4)


class TestACopyMendedBesideADeletedOne:
    @pytest.fixture
    def root(self, run: Run, tmp_path: Path, clips: dict[str, Path]) -> Path:
        root = make_tree(tmp_path / "videos", clips["h264.mp4"], classes=2, videos=2)
        for name in ("bad1", "bad2"):
            (root / "class 00" / f"{name}.mp4").write_bytes(b"broken")
        assert run(root).counts["unreadable"] == 2
        (root / "class 00/bad1.mp4").unlink()
        shutil.copy(clips["h264.mp4"], root / "class 00/bad2.mp4")
        return root

    def test_is_prepared(self, run: Run, root: Path) -> None:
        report = run(root)
        assert (report.counts["unreadable"], report.counts["prepared"]) == (0, 5)
        assert run(root, settings=FrameSettings(frames=4, size=64)).counts["prepared"] == 5

    def test_is_prepared_beside_one_that_the_store_holds(
        self, run: Run, root: Path, tmp_path: Path
    ) -> None:
        (root / "class 00/video_000.mp4").unlink()
        report = run(root)
        assert (report.counts["unreadable"], report.counts["prepared"]) == (0, 5)
        run(root, listener=(listener := Listener()))
        assert listener.videos == 0
        (tmp_path / "store/plan.json").unlink()
        assert run(root).counts["prepared"] == 5
        with Store(tmp_path / "store") as store:
            assert {"class 00/bad2", "class 00/video_000"} <= {*store.videos}


def test_a_folder_of_no_class_of_the_data_set_is_refused(
    run: Run, tmp_path: Path, clips: dict[str, Path]
) -> None:
    root = make_tree(tmp_path / "videos", clips["h264.mp4"], classes=3, videos=1)
    with pytest.raises(
        UserError, match=r"no class of ucf101.*class 00.*ApplyEyeMakeup.*prep folder"
    ):
        run(root, dataset="ucf101")
    assert not (tmp_path / "store").exists()


def test_classes_of_kinetics_that_are_in_no_split_are_prepared_and_said(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    clip = tmp_path / "videos/flipping_pancake/one.mp4"
    clip.parent.mkdir(parents=True)
    shutil.copy(clips["h264.mp4"], clip)
    said: list[str] = []
    sources = find_sources(
        DATASETS["kinetics"], tmp_path / "videos", [], split_rule=None, say=said.append
    )
    assert [video.class_name for video in sources.videos] == ["flipping pancake"]
    assert any(line.startswith("NO CLASS of the splits of kinetics is below") for line in said)
