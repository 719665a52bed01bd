import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tasd.cli.prep import prep
from tasd.errors import UserError
from tasd.store import Store
from tests.videos import make_clip, make_tree

App = typer.Typer()
App.command()(prep)
QUICK = ("--frames", "4", "--size", "32", "--workers", "1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    clip = make_clip(tmp_path, "h264.mp4")
    return make_tree(tmp_path / "videos", clip, classes=7, videos=2)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(App, [str(argument) for argument in arguments])


def mistake(*arguments: object) -> str:
    """Run a wrong command and return its message."""
    result = call(*arguments)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def test_a_folder_is_prepared_under_home_and_split_by_class(root: Path, home: Path) -> None:
    result = call("folder", "--root", root, *QUICK, "--train-classes", 3, "--val-classes", 2)
    assert result.exit_code == 0, result.output
    assert "14 │ prepared" in result.stdout
    assert str(home / "stores/folder/report.json") in result.stdout
    with Store(home / "stores/folder") as store:
        assert {name: len(classes) for name, classes in store.splits.items()} == {
            "train": 3,
            "val": 2,
            "test": 2,
        }
        first = store.splits
    call("folder", "--root", root, *QUICK, "--split-seed", 5, "--store", home / "other")
    with Store(home / "other") as store:
        assert store.splits != first


def test_a_folder_without_a_class_of_the_data_set_is_refused_in_one_line(root: Path) -> None:
    text = mistake("ucf101", "--root", root, *QUICK)
    assert "no class of ucf101 is below" in text
    assert "tasd prep folder" in text


@pytest.mark.parametrize("dataset", ["folder", "hmdb51"])
def test_a_video_in_no_class_folder_is_answered_with_the_layout(root: Path, dataset: str) -> None:
    text = mistake(dataset, "--root", min(root.iterdir()), *QUICK)
    assert "there is nothing but 2 videos in no class folder: left out" in text
    assert f"{dataset} has the layout <class>/" in text


def test_a_split_of_ones_own_is_taken(root: Path, home: Path) -> None:
    names = [f"class {number:02}" for number in range(7)]
    split = {"train": names[:2], "val": names[2:4], "test": names[4:6]}
    (home.parent / "split.json").write_text(json.dumps(split))
    result = call("folder", "--root", root, *QUICK, "--split-file", home.parent / "split.json")
    assert result.exit_code == 0, result.output
    with Store(home / "stores/folder") as store:
        assert {name: list(classes) for name, classes in store.splits.items()} == split


def test_a_script_gets_the_report_and_nothing_else(root: Path, home: Path) -> None:
    result = call("folder", "--root", root, *QUICK, "--json")
    report = json.loads(result.stdout)
    assert report["counts"]["prepared"] == 14
    assert report["store"] == str(home / "stores/folder")


def test_strict_makes_a_loss_a_failure(root: Path) -> None:
    (root / "class 00/video_000.mp4").unlink()
    (root / "class 00/video_000.mp4").write_bytes(b"no video")
    lenient = call("folder", "--root", root, *QUICK)
    assert lenient.exit_code == 0
    assert "class 00/video_000.mp4: " in lenient.stdout
    assert "too few videos for 1-shot episodes with 5 queries, 6 a class:" in lenient.stdout
    assert call("folder", "--root", root, *QUICK, "--strict").exit_code == 1


def test_mistakes_are_told_before_anything_is_written(root: Path, home: Path) -> None:
    messages = {
        ("kinetic", "--root", root): "did you mean 'kinetics'",
        ("folder", "--root", root / "nowhere"): "is not a folder",
        ("folder", "--root", root, "--frames", "many"): "--frames is 'many'",
        ("folder", "--root", root, "--frames", "0"): "--frames is '0'",
        ("folder", "--root", root, "--frames", "8", "--fps", "5"): "give one",
        ("folder", "--root", root, "--fps", "0"): "--fps is 0",
        ("folder", "--root", root, "--fps", "nan"): "--fps is nan",
        ("folder", "--root", root, "--size", "4"): "--size is 4",
        ("folder", "--root", root, "--ffmpeg", "/bin/true"): "'/bin/true' is not an ffmpeg",
        ("folder", "--root", root, "--train-classes", "6"): "the folder has 7 classes",
        ("folder", "--root", root, "--list", root / "list.txt"): "does not exist",
        ("ucf101", "--root", root, "--test-classes", "2"): "is for prep folder",
        ("folder", "--root", root, "--split-file", "x", "--val-classes", "2"): "give one",
    }
    for arguments, message in messages.items():
        text = mistake(*arguments)
        assert message in text, arguments
        assert "\n" not in text
    for option in ("--workers", "--shard-mib", "--val-classes"):
        assert call("folder", "--root", root, option, "-1").exit_code == 2
    assert not home.exists()


@pytest.mark.parametrize(
    "line", ["../secret/video", "/etc/passwd", "class 00/../../x", "a\\..\\b/c"]
)
def test_a_list_may_not_lead_out_of_the_root(root: Path, home: Path, line: str) -> None:
    (home.parent / "list.txt").write_text(f"class 00/video_000\n{line}\n")
    text = mistake("folder", "--root", root, *QUICK, "--list", home.parent / "list.txt")
    assert "line 2" in text
    assert not home.exists()


def test_what_a_list_names_and_the_disk_has_not_is_missing(root: Path, home: Path) -> None:
    lines = [f"class {number:02}/video_{video:03}" for number in range(7) for video in (0, 9)]
    (home.parent / "list.txt").write_text("\n".join(lines))
    result = call("folder", "--root", root, *QUICK, "--list", home.parent / "list.txt", "--json")
    report = json.loads(result.stdout)
    assert report["counts"]["prepared"] == report["counts"]["missing"] == 7
    assert report["missing"] == [line for line in lines if line.endswith("009")]


def test_the_program_says_a_mistake_in_one_line_and_fails(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tasd", "prep", "folder", "--root", str(tmp_path / "nowhere")]
    environment = {**os.environ, "TASD_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "is not a folder" in done.stderr
