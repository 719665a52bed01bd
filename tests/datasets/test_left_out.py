from pathlib import Path

from prep.report import Report
from tasd.datasets import scan
from tasd.datasets.folder import FOLDER
from tasd.foreign import clean
from tests.datasets.trees import tree

MP4 = b"\0\0\0\x20ftypisom" + bytes(40)


def test_videos_of_other_extensions_are_taken_by_their_content(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/ok.mp4", "a/clip.qt", "a/movie.xyz", "a/noextension", content=MP4)
    assert [v.name for v in scan(FOLDER, root).videos] == ["clip", "movie", "noextension", "ok"]


def test_what_is_left_out_is_named_once_with_a_count(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/ok.mp4", "a/._ok.mp4", "b/x.mp4.part", "b/ok.mp4", content=MP4)
    tree(root, "a/one.txt", "b/two.txt", content=b"notes")
    tree(root, "a/data.bin", content=b"\x01\x02\x03")
    found = scan(FOLDER, root)
    assert {p.kind: p.count for p in found.problems if "bin" not in p.path} == {
        "hidden": 2,
        "other file": 2,
    }
    assert [p.path for p in found.problems] == ["a/._ok.mp4", "a/data.bin", "a/one.txt"]
    report = Report({"a": 1, "b": 1}, problems=found.problems)
    assert report.losses == 5


def test_names_are_escaped_for_the_screen() -> None:
    assert clean("a\x1b[2Jb\u202e\udc80") == "a\\x1b[2Jb\\u202e\\udc80"
    assert clean("naïve 日本") == "naïve 日本"


def test_videos_in_a_folder_within_a_class_folder_are_named(tmp_path: Path) -> None:
    for path in ("a/one.mp4", "a/day/two.mp4", "a/day/night/three.mp4", "a/day/001.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    for number in range(3):
        (tmp_path / "a/frames").mkdir(exist_ok=True)
        (tmp_path / f"a/frames/{number}.png").write_bytes(b"x")
    found = scan(FOLDER, tmp_path)
    assert [video.name for video in found.videos] == ["day", "one"]
    assert {(p.reason, p.count) for p in found.problems} == {
        ("2 left out: videos in folders within class folders", 2),
        ("3 left out: frames that are not JPEG files", 3),
    }


def test_unfinished_downloads_of_many_programs_are_known(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    names = ("1.mp4.!qB", "2.mp4.part", "3.mkv.crdownload", "4.mp4.!ut", "5.mp4.aria2")
    for name in (*names, "6.mp4"):
        (tmp_path / "a" / name).write_bytes(b"\0\0\0\x18ftypmp42")
    found = scan(FOLDER, tmp_path)
    assert [video.name for video in found.videos] == ["6"]
    assert [problem.count for problem in found.problems] == [5]
