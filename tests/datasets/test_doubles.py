from pathlib import Path

import pytest

from tasd.datasets import DATASETS, read_list, scan, select

ID = "-VtLx-mcPds"


def write(root: Path, *paths: str) -> None:
    """Files of different sizes: each is ten bytes longer than the one before."""
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x" * 10 * (number + 1))


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        (("train_256/air_drumming/{}_000012_000022.mp4", "train/air drumming/{}.mp4"), "train/"),
        (("train/air_drumming/{}.mp4", "train_256/air_drumming/{}_000012_000022.mp4"), "train_256"),
        (("train/air_drumming/{}.mp4", "val/air_drumming/{}.mkv"), "val/"),
        (("train/air_drumming/{}.mp4", "train/air_drumming/{}.webm"), "train/"),
        (
            ("k4/train/air_drumming/{}.mp4", "k400/train_256/air drumming/{}.mp4"),
            "k400/train_256",
        ),
    ],
)
def test_of_two_copies_of_a_video_the_larger_is_kept_and_said(
    tmp_path: Path, paths: tuple[str, ...], kept: str
) -> None:
    write(tmp_path, *(path.format(ID) for path in paths))
    found = scan(DATASETS["kinetics"], tmp_path)
    assert [video.path for video in found.videos] == [paths[-1].format(ID)]
    (double,) = [problem for problem in found.problems if problem.kind == "duplicate"]
    assert double.path == paths[0].format(ID)
    assert f"left out: {kept}" in double.reason
    assert double.reason.endswith("is a copy of the same video, and larger")


def test_flat_copies_are_told_too_and_a_list_finds_the_kept_one(tmp_path: Path) -> None:
    write(tmp_path, f"train/{ID}_000012_000022.mp4", f"train_256/{ID}.mp4", f"train_340/{ID}.mp4")
    found = scan(DATASETS["kinetics"], tmp_path)
    assert [video.path for video in found.loose] == [f"train_340/{ID}.mp4"]
    assert sum(problem.kind == "duplicate" for problem in found.problems) == 2
    (tmp_path / "list.txt").write_text(f"air drumming/{ID}\n")
    kinetics = DATASETS["kinetics"]
    chosen = select(kinetics, found, read_list(kinetics, tmp_path / "list.txt"))
    assert [video.path for video in chosen.videos] == [f"train_340/{ID}.mp4"]


def test_a_replacement_is_kept_before_a_larger_file(tmp_path: Path) -> None:
    write(tmp_path, f"replacement/replacement_for_corrupted_k400/{ID}.mp4", f"train/{ID}.mp4")
    found = scan(DATASETS["kinetics"], tmp_path)
    assert [video.path.split("/")[0] for video in found.loose] == ["replacement"]
    assert [p.reason.rpartition(", ")[2] for p in found.problems] == ["a replacement"]


def test_of_equal_copies_the_first_is_kept(tmp_path: Path) -> None:
    for folder in ("UCF-101", "UCF-101-copy"):
        path = tmp_path / folder / "Archery/v_Archery_g01_c01.avi"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    found = scan(DATASETS["ucf101"], tmp_path)
    assert [video.path.split("/")[0] for video in found.videos] == ["UCF-101"]
    assert [p.reason.rpartition(", ")[2] for p in found.problems if p.kind == "duplicate"] == [
        "and comes first"
    ]


def test_two_parts_of_one_source_are_two_videos(tmp_path: Path) -> None:
    write(
        tmp_path,
        *(f"train/air_drumming/{ID}_{times}.mp4" for times in ("000012_000022", "000050_000060")),
        f"val/air_drumming/{ID}.mp4",
    )
    found = scan(DATASETS["kinetics"], tmp_path)
    assert len(found.videos) == 3
    assert not [problem for problem in found.problems if problem.kind == "duplicate"]


def test_equal_names_in_classes_of_ones_own_are_different_videos(tmp_path: Path) -> None:
    write(tmp_path, "a/one.mp4", "a/one.avi", "b/one.mp4")
    found = scan(DATASETS["folder"], tmp_path)
    assert [video.id for video in found.videos] == ["a/one.avi", "a/one.mp4", "b/one"]
