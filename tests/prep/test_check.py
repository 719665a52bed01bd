import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from prep.check import check_store
from prep.report import Report
from tasd.cli.check import check
from tasd.errors import UserError
from tasd.store import read_shard
from tests.videos import make_tree

App = typer.Typer()
App.command()(check)


@pytest.fixture
def store(run: Callable[..., Report], tmp_path: Path, clips: dict[str, Path]) -> Path:
    run(make_tree(tmp_path / "videos", clips["h264_forty.mp4"], classes=2, videos=3))
    return tmp_path / "store"


def damage(shard: Path, at: int, value: int) -> None:
    content = bytearray(shard.read_bytes())
    assert content[at] != value
    content[at] = value
    shard.write_bytes(content)


def place_of(store: Path, video: int, frame: int, inside: int) -> int:
    """Return the position of a byte of a frame in the file of the first shard."""
    shard = read_shard(store / "shard-00000.h5")
    number = shard.index.first_frame[video] + frame
    return int(shard.preamble.offset + shard.index.frame_offset[number] + inside)


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_store_has_no_faults(store: Path, deep: bool) -> None:
    assert check_store(store, deep=deep) == []


@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_frame_is_laid_at_the_door_of_its_video(store: Path, deep: bool) -> None:
    damage(store / "shard-00000.h5", place_of(store, video=4, frame=2, inside=0), 0)
    (fault,) = check_store(store, deep=deep)
    assert (fault.shard, fault.video) == ("shard-00000.h5", "class 01/video_001")
    assert "frame 2" in fault.reason


def test_a_changed_bit_that_still_decodes_is_found_by_the_hash(store: Path) -> None:
    shard = store / "shard-00000.h5"
    at = place_of(store, video=1, frame=0, inside=25)  # in a table of quantisation
    damage(shard, at, shard.read_bytes()[at] ^ 1)
    (fault,) = check_store(store, deep=False)
    assert fault.video == "class 00/video_001"
    assert "not those that were written" in fault.reason


def test_a_shard_cut_short_or_gone_is_named(store: Path) -> None:
    shard = store / "shard-00000.h5"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    (fault,) = check_store(store, deep=False)
    assert (fault.shard, fault.video) == ("shard-00000.h5", "")
    shard.unlink()
    assert "missing" in str(check_store(store, deep=False)[0])


def test_every_byte_that_changes_is_found(store: Path) -> None:
    shard = store / "shard-00000.h5"
    whole = shard.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        damage(shard, at, whole[at] ^ 0x10)
        assert check_store(store, deep=False), f"byte {at} of {len(whole)}"
        shard.write_bytes(whole)


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no store|not a store"):
        check_store(tmp_path, deep=False)


def test_the_command_names_the_fault_and_fails(store: Path) -> None:
    good = CliRunner().invoke(App, [str(store), "--deep"])
    assert good.exit_code == 0
    assert "6 videos, 24 frames, 1 shard: every frame decodes" in good.stdout
    damage(store / "shard-00000.h5", place_of(store, video=0, frame=0, inside=0), 0)
    bad = CliRunner().invoke(App, [str(store)])
    assert bad.exit_code == 1
    assert "shard-00000.h5, class 00/video_000: frame 0" in bad.stderr
    script = CliRunner().invoke(App, [str(store), "--json"])
    assert script.exit_code == 1
    assert json.loads(script.stdout)[0]["video"] == "class 00/video_000"
