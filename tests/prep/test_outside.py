"""Failures whose cause lies outside the file: tried again at once, and by the next prep."""

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from prep import attempts, ffmpeg_process, shard
from prep.attempts import RETRIED, reads_whole
from prep.clip import PASSING, Clip, FrameSettings, UnreadableVideo
from prep.decode import Decoder
from prep.ffmpeg_process import Ffmpeg
from prep.frame_folders import read_frame_folder
from prep.limits import Limits
from prep.report import Report
from prep.shard import write_shard
from tasd.errors import UserError
from tests.prep.conftest import content
from tests.videos import make_tree

Run = Callable[..., Report]
SETTINGS = FrameSettings(frames=4, size=32)
# Commands of a shell in place of ffmpeg, or after it, and the code that they are told by.
ENDS = {
    "kill -KILL $$": "killed",
    "kill -TERM $$": "killed",
    "kill -ALRM $$": "killed",
    "say '[info] Exiting normally, received signal 15.'; exit 255": "killed",
    "say '[error] Error opening input: No such file or directory'; exit 1": "vanished",
    "say '[error] Error opening input files: Input/output error'; exit 1": "read_error",
    "say '[error] Error opening input: Stale file handle'; exit 1": "read_error",
    "say '[error] Error opening input: Too many open files'; exit 1": "no_resources",
    "say 'ffmpeg: error while loading shared libraries: libm.so'; exit 127": "no_resources",
    "say '[error] Cannot allocate memory'; exit 1": "no_resources",
    "say '[error] pthread_create(): Resource temporarily unavailable'; exit 1": "no_resources",
    # With frames: what came may not be all.
    "real; say '[in#0 @ 0x1] [error] Error during demuxing: Input/output error'": "read_error",
    "real; say '[in#0 @ 0x1] [error] Error during demuxing: Stale file handle'": "read_error",
    "real; say '[error] Too many open files'": "no_resources",
    "real; kill -KILL $$": "killed",
    "exec sleep 60": "busy",
}
ERRORS = {
    errno.EMFILE: "no_resources",
    errno.ENFILE: "no_resources",
    errno.ENOMEM: "no_resources",
    errno.EAGAIN: "no_resources",
    errno.EIO: "read_error",
    errno.ESTALE: "read_error",
    errno.ETIMEDOUT: "read_error",
    errno.ENOENT: "vanished",
}


class Disturbed:
    """A script in place of ffmpeg that fails so many times, and runs it afterwards."""

    def __init__(self, folder: Path, tool: Ffmpeg) -> None:
        self.script, self.left, self.real = folder / "ffmpeg", folder / "left", tool.program
        self.tool = Ffmpeg(str(self.script), tool.version)

    def fails(self, times: int, command: str) -> None:
        self.left.write_text("x" * times)
        # The words are said on standard error, as ffmpeg's are.
        command = command.replace("real;", 'real "$@";')
        self.script.write_text(
            f'#!/bin/sh\nsay() {{ echo "$1" >&2; }}\n'
            f'real() {{ "{self.real}" "$@"; }}\n'
            f'[ -s "{self.left}" ] || exec "{self.real}" "$@"\n'
            f'printf %s "$(cut -c2- "{self.left}")" > "{self.left}"\n'
            f"{command}\n"
        )
        self.script.chmod(0o755)


@pytest.fixture
def disturbed(tool: Ffmpeg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disturbed:
    monkeypatch.setattr(attempts, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(ffmpeg_process, "free_mib", lambda: 1.0)
    folder = tmp_path / "program"
    folder.mkdir()
    return Disturbed(folder, tool)


def decoded(tool: Ffmpeg, *paths: Path, seconds: float = 60) -> list[Clip | UnreadableVideo]:
    return Decoder(tool, SETTINGS, Limits(seconds=seconds)).decode(paths)


@pytest.mark.parametrize("command", ENDS)
def test_it_is_tried_again_at_once(
    disturbed: Disturbed, tool: Ffmpeg, clips: dict[str, Path], command: str
) -> None:
    seconds = 1 if "sleep" in command else 60
    path = clips["h264.mp4"]
    disturbed.fails(1, command)
    assert decoded(disturbed.tool, path, seconds=seconds) == decoded(tool, path)


@pytest.mark.parametrize("command", ENDS)
def test_what_never_ends_is_told_by_a_code_that_the_next_prep_tries_again(
    disturbed: Disturbed, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(attempts, "reads_whole", lambda path: False)
    seconds = 0.2 if "sleep" in command else 60
    disturbed.fails(99, command)
    (reason,) = decoded(disturbed.tool, clips["h264.mp4"], seconds=seconds)
    assert isinstance(reason, UnreadableVideo)
    assert reason.code == ENDS[command]
    assert reason.code in PASSING
    assert str(clips["h264.mp4"].parent) not in str(reason)


@pytest.mark.parametrize("command", [*ENDS][:12])
def test_neighbours_of_one_process_are_decoded_nevertheless(
    disturbed: Disturbed, tool: Ffmpeg, clips: dict[str, Path], command: str
) -> None:
    paths = [clips["h264.mp4"], clips["mpeg4.avi"], clips["h264_forty.mp4"]]
    disturbed.fails(1, command)
    assert decoded(disturbed.tool, *paths) == decoded(tool, *paths)


def test_a_read_error_of_a_file_that_reads_whole_is_its_own(
    disturbed: Disturbed, clips: dict[str, Path]
) -> None:
    disturbed.fails(9, "say '[error] Error opening input files: Input/output error'; exit 1")
    (reason,) = decoded(disturbed.tool, clips["h264.mp4"])
    assert isinstance(reason, UnreadableVideo)
    assert reason.code == "undecodable"
    disturbed.fails(9, "real; say '[in#0 @ 0x1] [error] Error during demuxing: Input/output error'")
    (clip,) = decoded(disturbed.tool, clips["h264.mp4"])
    assert isinstance(clip, Clip)
    assert "Input/output error" in clip.complaint


def test_a_limit_of_memory_that_was_reached_is_the_videos_own(
    disturbed: Disturbed, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg_process, "free_mib", lambda: 1e6)
    disturbed.fails(9, "say '[error] Cannot allocate memory'; exit 1")
    (reason,) = decoded(disturbed.tool, clips["h264.mp4"])
    assert isinstance(reason, UnreadableVideo)
    assert (reason.code, "--memory-mib" in str(reason)) == ("memory_limit", True)
    assert "memory_limit" in RETRIED


def test_the_second_attempt_waits_longer_where_the_machine_is_busy(
    disturbed: Disturbed, clips: dict[str, Path]
) -> None:
    disturbed.fails(3, "sleep 1.5; real;")
    assert isinstance(decoded(disturbed.tool, clips["h264.mp4"], seconds=1)[0], Clip)


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("place", ["header", "pipes", "process"])
def test_errors_of_the_system_are_tried_again(
    disturbed: Disturbed,
    tool: Ffmpeg,
    clips: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    place: str,
) -> None:
    if place == "process" and number == errno.ENOENT:
        pytest.skip("the program is gone, not the file")
    path = clips["h264.mp4"]
    expected = decoded(tool, path)
    owner, name = {
        "header": (Path, "open"),
        "pipes": (os, "pipe"),
        "process": (subprocess, "Popen"),
    }[place]
    real, left = getattr(owner, name), [1, 1]

    def failing(*arguments: object, **options: object) -> object:
        if left and (place != "header" or str(arguments[0]) == str(path)):
            left.pop()
            raise OSError(number, os.strerror(number), str(path))
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)
    assert decoded(tool, path) == expected
    left += [1] * 99
    (reason,) = decoded(tool, path)
    assert isinstance(reason, UnreadableVideo)
    assert reason.code == ERRORS[number]
    assert str(path.parent) not in str(reason)


def test_a_program_that_vanishes_ends_the_prep_and_blames_no_video(
    tool: Ffmpeg, clips: dict[str, Path]
) -> None:
    with pytest.raises(UserError, match="cannot be started any more"):
        decoded(Ffmpeg("/nowhere/ffmpeg", tool.version), clips["h264.mp4"])


def test_a_frame_that_cannot_be_read_now_is_read_again(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.videos import run_ffmpeg

    source = "testsrc=size=64x48:rate=10:duration=1"
    run_ffmpeg("-f", "lavfi", "-i", source, tmp_path / "%03d.jpg")
    expected = read_frame_folder(tmp_path, SETTINGS)
    monkeypatch.setattr(attempts, "PAUSES", (0.0, 0.0))
    real, left = Path.read_bytes, [errno.EIO, errno.EMFILE]

    def failing(path: Path) -> bytes:
        if left:
            raise OSError(left.pop(), "not now", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    found = read_frame_folder(tmp_path, SETTINGS)
    assert isinstance(found, Clip)
    assert isinstance(expected, Clip)
    assert found.jpegs == expected.jpegs
    left += [errno.EIO] * 3
    reason = read_frame_folder(tmp_path, SETTINGS)
    assert isinstance(reason, UnreadableVideo)
    assert (reason.code, str(tmp_path) in str(reason)) == ("read_error", False)


class TestTheNextPrep:
    @pytest.fixture
    def root(self, tmp_path: Path, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(attempts, "PAUSES", (0.0, 0.0))
        monkeypatch.setattr(shard, "PAUSES", (0.0, 0.0))
        monkeypatch.setattr(
            "prep.prepare.write_shards",
            lambda jobs, settings, **_: (write_shard(job, settings) for job in jobs),
        )
        return make_tree(tmp_path / "videos", clips["h264.mp4"], classes=2, videos=2)

    @pytest.mark.parametrize("code", PASSING)
    def test_tries_again_and_ends_at_the_same_bytes(
        self, run: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
    ) -> None:
        run(root, tmp_path / "undisturbed")
        real = Decoder.decode
        with monkeypatch.context() as patch:
            patch.setattr(
                Decoder,
                "decode",
                lambda self, paths: [*real(self, paths)[:-1], UnreadableVideo("no", code=code)],
            )
            assert run(root).counts["unreadable"] == 1
        assert run(root).counts["prepared"] == 4
        assert content(tmp_path / "store") == content(tmp_path / "undisturbed")

    def test_takes_what_may_be_read_now(
        self, run: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(root, tmp_path / "undisturbed")
        real, real_mark = Decoder.decode, shard.fingerprint
        refused = UnreadableVideo("Permission denied", code="permission")
        with monkeypatch.context() as patch:
            patch.setattr(Decoder, "decode", lambda self, paths: [*real(self, paths)[:-1], refused])
            patch.setattr(
                shard,
                "fingerprint",
                lambda video, root: (
                    (0, "") if video.path.endswith("01/video_001.mp4") else real_mark(video, root)
                ),
            )
            for _ in range(2):
                assert run(root).counts["unreadable"] == 1
        assert run(root).counts["prepared"] == 4
        assert content(tmp_path / "store") == content(tmp_path / "undisturbed")

    def test_keeps_a_video_of_the_store_that_cannot_be_read_now(
        self, run: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(root)
        for path in root.rglob("*.mp4"):  # as a copy of the data has
            os.utime(path, (1, 1))
        with monkeypatch.context() as patch:
            patch.setattr(shard, "fingerprint", lambda video, root: (0, ""))
            failing = UnreadableVideo("no", code="read_error")
            patch.setattr(Decoder, "decode", lambda self, paths: [failing] * len(paths))
            assert run(root).counts["prepared"] == 4
        assert run(root).counts["prepared"] == 4


def test_a_whole_file_is_told_from_one_that_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"whole")
    assert reads_whole(tmp_path / "a")
    assert not reads_whole(tmp_path / "b")
    if Path("/proc/self/mem").exists():  # reading its first page is a read error
        assert not reads_whole(Path("/proc/self/mem"))
