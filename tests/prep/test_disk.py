"""Disks that are full or read-only: one clear line, and nothing is lost."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prep.clip import FrameSettings
from prep.ffmpeg_process import Ffmpeg
from prep.report import Report
from prep.shard import PrepSettings, ShardJob, write_shard
from tasd.datasets import SourceVideo
from tasd.errors import UserError
from tests.prep.conftest import Listener, content
from tests.videos import make_tree

Run = Callable[..., Report]


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a small file system in memory, where that is permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def root(tmp_path: Path, clips: dict[str, Path]) -> Path:
    return make_tree(tmp_path / "videos", clips["h264_forty.mp4"], classes=6, videos=10)


def test_a_full_disk_is_told_in_one_line_and_the_work_goes_on_once_there_is_room(
    run: Run, root: Path, tmp_path: Path
) -> None:
    settings = FrameSettings(frames=32, size=128)
    run(root, tmp_path / "whole", settings=settings, shard_mib=1, workers=2)
    with mounted(tmp_path / "disk", "size=20m") as disk:
        ballast = disk / "ballast"
        # A shard of 1.8 MiB takes twice that while it is written: there is room for two at once.
        ballast.write_bytes(bytes(23 << 19))
        with pytest.raises(UserError, match=r"the disk of .* is full; finished shards are kept"):
            run(root, disk / "store", settings=settings, shard_mib=1, workers=2)
        left = content(disk / "store")
        assert "manifest.json" not in left
        assert [name for name in left if name.endswith(".h5")]
        ballast.unlink()
        run(root, disk / "store", settings=settings, shard_mib=1, listener=(listener := Listener()))
        assert listener.videos < 60
        assert content(disk / "store") == content(tmp_path / "whole")


def test_a_disk_too_full_for_the_first_file_is_told_as_well(
    run: Run, root: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "size=64k") as disk:
        (disk / "ballast").write_bytes(bytes(60 << 10))
        with pytest.raises(UserError, match=r"the disk of .* is full"):
            run(root, disk / "store")


def test_a_target_that_is_read_only_is_told(run: Run, root: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=64k,ro") as disk:
        with pytest.raises(UserError, match=r"cannot be written: Read-only file system; .*--store"):
            run(root, disk / "store")
        assert not list(disk.iterdir())


def test_a_finished_store_on_a_read_only_disk_is_left_as_it_is(
    run: Run, root: Path, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", "size=4m") as disk:
        run(root, disk / "store")
        before = content(disk / "store")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(UserError, match="Read-only"):
            run(root, disk / "store", settings=FrameSettings(frames=3, size=32))
        assert content(disk / "store") == before


def test_a_folder_without_permission_is_told(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o555)
    if os.access(tmp_path / "theirs", os.W_OK):
        pytest.skip("root may write anywhere")
    with pytest.raises(UserError, match="Permission denied"):
        run(root, tmp_path / "theirs/store")


def test_a_file_in_the_place_of_the_store_is_told(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot be written: .*exists"):
        run(root, tmp_path / "store")
    with pytest.raises(UserError, match=r"cannot be written: Not a directory"):
        run(root, tmp_path / "store/below")


def test_videos_are_not_called_unreadable_when_their_disk_has_gone(
    tmp_path: Path, tool: Ffmpeg
) -> None:
    gone = tmp_path / "unmounted"
    settings = PrepSettings(gone, tmp_path / "store", "folder", FrameSettings(), tool)
    job = ShardJob(0, (SourceVideo("a", "a", "a/a.mp4", 1),))
    with pytest.raises(UserError, match=f"does not see {gone}"):
        write_shard(job, settings)
