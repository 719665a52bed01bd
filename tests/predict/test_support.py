"""The clips of each class of a support."""

from pathlib import Path

import pytest

from tasd.errors import UserError
from tasd.predict.support import support_clips
from tests.datasets.trees import tree


def test_each_folder_is_a_class_and_what_lies_beside_is_told(tmp_path: Path) -> None:
    root = tree(tmp_path, "a/1.mp4", "a/2.avi", "b c/3.mov", "loose.mp4", "a/notes.txt")
    clips, problems = support_clips(root, None)
    assert clips == {"a": [root / "a/1.mp4", root / "a/2.avi"], "b c": [root / "b c/3.mov"]}
    assert problems == {
        str(root / "a/notes.txt"): "1 left out: called *.txt, a text",
        str(root / "loose.mp4"): "it is in no class folder",
    }


def test_clips_without_class_folders_are_answered_with_what_to_do(tmp_path: Path) -> None:
    root = tree(tmp_path, "1.mp4", "2.mp4")
    with pytest.raises(UserError, match=r"2 clips, but none in a class folder; put"):
        support_clips(root, None)


def test_a_support_that_is_no_folder_is_told_as_the_support(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the support .*nowhere is not a folder"):
        support_clips(tmp_path / "nowhere", None)


def test_a_support_may_be_made_of_links_to_clips_elsewhere(tmp_path: Path) -> None:
    elsewhere = tree(tmp_path / "elsewhere", "1.mp4")
    root = tmp_path / "support"
    (root / "a").mkdir(parents=True)
    (root / "a/1.mp4").symlink_to(elsewhere / "1.mp4")
    assert support_clips(root, None) == ({"a": [root / "a/1.mp4"]}, {})
