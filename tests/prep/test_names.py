"""Unusual names of videos and folders."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prep.report import Report
from tasd.store import Store
from tests.prep.conftest import Listener
from tests.videos import make_tree

Run = Callable[..., Report]

CLASSES = ["brush hair", "größer & schöner", "体操", 'it\'s "quoted"', "(sport) [x] {y}", "#;+~@!"]
VIDEOS = [
    "-begins-with-a-dash",
    "!()[]#&;+~@'\"",
    "100% %03d %s",
    "a  b\tc",
    "κίνηση",
    "file:x",
    "a.b.c",
    "x" * 200,
    "$HOME `id` $(id)",
    "a,b:c|d\\e",
]


def test_any_name_is_only_a_name(run: Run, tmp_path: Path, clips: dict[str, Path]) -> None:
    for class_name in CLASSES:
        (tmp_path / "videos" / class_name).mkdir(parents=True)
        for video in VIDEOS:
            os.link(clips["h264.mp4"], tmp_path / "videos" / class_name / f"{video}.mp4")
    report = run(tmp_path / "videos")
    assert report.counts["prepared"] == len(CLASSES) * len(VIDEOS)
    assert report.losses == 0
    with Store(tmp_path / "store") as store:
        ids = {f"{class_name}/{video}" for class_name in CLASSES for video in VIDEOS}
        assert set(store.videos) == ids
        assert set(store.splits["train"]) == set(CLASSES)


def test_a_name_that_is_no_text_is_taken_or_reported(
    run: Run, tmp_path: Path, clips: dict[str, Path]
) -> None:
    root = make_tree(tmp_path / "videos", clips["h264.mp4"], classes=1, videos=2)
    strange = os.fsencode(root / "class 00") + b"/not-\xff-utf8.mp4"
    try:
        shutil.copy(clips["h264.mp4"], os.fsdecode(strange))
    except OSError:
        pytest.skip("this file system takes only text")
    report = run(root)
    named = [p.path for p in report.problems] + [r.path for r in report.remarks]
    assert report.counts["prepared"] == 3 or any("utf8" in path for path in named)


def test_a_link_is_followed_and_one_to_nothing_reported(
    run: Run, tmp_path: Path, clips: dict[str, Path]
) -> None:
    root = make_tree(tmp_path / "videos", clips["h264.mp4"], classes=1, videos=1)
    (root / "class 00/linked.mp4").symlink_to(root / "class 00/video_000.mp4")
    (root / "class 00/nowhere.mp4").symlink_to(tmp_path / "nothing.mp4")
    (root / "class 00/itself.mp4").symlink_to(root / "class 00/itself.mp4")
    os.mkfifo(root / "class 00/pipe.mp4")
    (root / "a linked class").symlink_to(root / "class 00")
    report = run(root)
    assert report.prepared == {"class 00": 2, "a linked class": 2}
    unreadable = {p.path for p in report.problems if p.kind == "unreadable"}
    named = {"class 00/nowhere.mp4", "class 00/itself.mp4", "class 00/pipe.mp4"}
    assert named <= unreadable
    assert report.losses >= len(named)


def test_a_folder_that_may_not_be_read_is_reported(
    run: Run, tmp_path: Path, clips: dict[str, Path]
) -> None:
    root = make_tree(tmp_path / "videos", clips["h264.mp4"], classes=2, videos=1)
    (root / "class 01").chmod(0)
    if os.access(root / "class 01", os.R_OK):
        pytest.skip("root may read everything")
    try:
        report = run(root)
    finally:
        (root / "class 01").chmod(0o755)
    assert report.prepared == {"class 00": 1}
    assert report.losses == 1


def test_a_video_that_goes_while_prep_works_is_reported(
    run: Run, tmp_path: Path, clips: dict[str, Path]
) -> None:
    from prep.sources import Sources
    from tasd.datasets import SourceVideo
    from tests.prep.conftest import all_to_train

    root = make_tree(tmp_path / "videos", clips["h264.mp4"], classes=1, videos=1)
    gone = SourceVideo("class 00", "gone", "class 00/gone.mp4", 1000)
    there = SourceVideo("class 00", "video_000", "class 00/video_000.mp4", 1000)
    report = run(root, sources=Sources((gone, there), split_rule=all_to_train), listener=Listener())
    assert report.counts["prepared"] == 1
    assert [(remark.video, remark.kind) for remark in report.remarks] == [
        ("class 00/gone", "unreadable")
    ]
    assert "No such file" in report.remarks[0].reason
