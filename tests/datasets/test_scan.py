"""Videos are found in every layout of a download, and everything else is reported."""

import os
from pathlib import Path

import pytest

from tasd.datasets import DATASETS, Dataset, Scan, scan
from tasd.datasets.base import class_key
from tasd.datasets.folder import FOLDER
from tasd.datasets.hmdb51 import HMDB51
from tasd.datasets.kinetics import KINETICS
from tasd.datasets.ucf101 import UCF101
from tasd.errors import UserError
from tests.datasets.trees import tree


def ids(found: Scan) -> list[str]:
    return [video.id for video in found.videos]


def problem_paths(found: Scan, kind: str) -> list[str]:
    return [problem.path for problem in found.problems if problem.kind == kind]


KINETICS_VIDEO = "-VtLx-mcPds_000012_000022"


@pytest.mark.parametrize(
    "path",
    [
        f"air drumming/{KINETICS_VIDEO}.mp4",
        f"air_drumming/{KINETICS_VIDEO}.mkv",
        f"train/air_drumming/{KINETICS_VIDEO}.webm",
        f"val/air drumming/{KINETICS_VIDEO}.avi",
        f"train_256/Air_Drumming/{KINETICS_VIDEO}.MP4",
        f"kinetics400/videos/train/air_drumming/{KINETICS_VIDEO}.mp4",
    ],
)
def test_every_layout_of_kinetics_gives_the_same_video(tmp_path: Path, path: str) -> None:
    found = scan(KINETICS, tree(tmp_path, path))
    assert ids(found) == [f"air drumming/{KINETICS_VIDEO}"]
    assert found.videos[0].path == path
    assert found.videos[0].size_bytes == 5
    assert found.videos[0].kind == "video"


def test_train_and_val_of_kinetics_are_one_class(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/air_drumming/aaaaaaaaaaa.mp4", "val/air drumming/bbbbbbbbbbb.mp4")
    assert ids(scan(KINETICS, root)) == ["air drumming/aaaaaaaaaaa", "air drumming/bbbbbbbbbbb"]


def test_the_name_of_a_class_may_lose_its_signs(tmp_path: Path) -> None:
    root = tree(tmp_path, "hurling_(sport)/a.mp4", "hurling sport/b.mp4")
    assert ids(scan(KINETICS, root)) == ["hurling (sport)/a", "hurling (sport)/b"]


def test_classes_of_no_split_are_left_out_and_named(tmp_path: Path) -> None:
    root = tree(tmp_path, "air_drumming/a.mp4", "zumba/b.mp4", "yoga/c.mp4")
    found = scan(KINETICS, root)
    assert ids(found) == ["air drumming/a"]
    assert problem_paths(found, "no split") == ["yoga", "zumba"]
    assert len(scan(KINETICS, root, every_class=True).videos) == 3


def test_where_no_folder_is_of_the_splits_all_are_taken_and_named(tmp_path: Path) -> None:
    found = scan(KINETICS, tree(tmp_path, "flipping_pancake/a.mp4", "abseiling/b.mkv"))
    assert ids(found) == ["abseiling/b", "flipping pancake/a"]
    assert problem_paths(found, "no split") == ["abseiling", "flipping_pancake"]


def test_classes_without_videos_are_named(tmp_path: Path) -> None:
    found = scan(HMDB51, tree(tmp_path, "run/a.avi", "sit/notes.txt"))
    assert "sit" in problem_paths(found, "no videos")
    assert "walk" in problem_paths(found, "no videos")
    assert (
        len(problem_paths(found, "no videos")) == 50 + 1
    )  # the empty folder, and every absent class


def test_the_folder_and_the_files_of_ucf101_spell_one_class_apart(tmp_path: Path) -> None:
    name = "v_HandStandPushups_g01_c01"
    root = tree(tmp_path, f"UCF-101/HandstandPushups/{name}.avi")
    assert ids(scan(UCF101, root)) == [f"HandstandPushups/{name}"]


def test_ucf101_in_one_flat_folder_is_placed_by_its_names(tmp_path: Path) -> None:
    root = tree(tmp_path, "v_HandStandPushups_g01_c01.avi", "v_Archery_g02_c03.avi", "other.avi")
    found = scan(UCF101, root)
    assert ids(found) == [
        "Archery/v_Archery_g02_c03",
        "HandstandPushups/v_HandStandPushups_g01_c01",
    ]
    assert [video.path for video in found.loose] == ["other.avi"]


def test_the_names_of_hmdb51_hold_every_sign(tmp_path: Path) -> None:
    names = ["#437_How_To_Ride_A_Bike_ride_bike_f_cm_np1_le_med_0", "!A(b)[c]&;+~@'\"{}$%^ x", "-n"]
    root = tree(tmp_path, *(f"hmdb51_org/ride_bike/{name}.avi" for name in names))
    assert ids(scan(HMDB51, root)) == sorted(f"ride_bike/{name}" for name in names)


def test_an_archive_unpacked_into_a_folder_of_its_name_is_one_class(tmp_path: Path) -> None:
    assert ids(scan(HMDB51, tree(tmp_path, "run/run/a.avi"))) == ["run/a"]


def test_a_folder_of_ones_own_takes_any_class_and_container(tmp_path: Path) -> None:
    root = tree(tmp_path, "Größe/ä.MOV", "跳舞/x.webm", "a_b/1.mpg", ".hidden/x.mp4", "a_b/._1.mpg")
    assert ids(scan(FOLDER, root)) == ["Größe/ä", "a_b/1", "跳舞/x"]


def test_names_that_look_the_same_are_the_same(tmp_path: Path) -> None:
    root = tree(tmp_path, "Gro\u0308ße/a\u0308.mp4", "Gr\u00f6ße/b.mp4")
    found = scan(FOLDER, root)
    assert ids(found) == ["Größe/b", "Größe/ä"]
    assert all((root / video.path).is_file() for video in found.videos)


def test_a_folder_of_extracted_frames_is_one_video(tmp_path: Path) -> None:
    frames = (f"jump/clip/img_{i:05}.jpg" for i in range(1, 4))
    root = tree(tmp_path, *frames, "jump/clip/notes.txt", "jump/whole.mp4", "jump/empty/notes.txt")
    found = scan(FOLDER, root)
    assert [(v.id, v.kind, v.size_bytes) for v in found.videos] == [
        ("jump/clip", "frames", 15),
        ("jump/whole", "video", 5),
    ]
    assert problem_paths(found, "no videos") == ["jump/empty"]


def test_names_keep_their_suffix_where_stems_collide(tmp_path: Path) -> None:
    root = tree(tmp_path, "c/one.mp4", "c/one.avi", "c/two.mp4", "c/one/1.jpg")
    assert ids(scan(FOLDER, root)) == ["c/one", "c/one.avi", "c/one.mp4", "c/two"]


def test_one_name_at_two_places_is_taken_once_and_named(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/air_drumming/a.mp4", "val/air_drumming/a.mp4")
    found = scan(KINETICS, root)
    assert [video.path for video in found.videos] == ["train/air_drumming/a.mp4"]
    assert problem_paths(found, "duplicate") == ["val/air_drumming/a.mp4"]


def test_links_are_followed_and_those_to_nothing_named(tmp_path: Path) -> None:
    elsewhere = tree(tmp_path / "elsewhere", "film.mp4", "more/b.mp4")
    root = tree(tmp_path / "root", "c/a.mp4")
    (root / "c" / "linked.mp4").symlink_to(elsewhere / "film.mp4")
    (root / "c" / "gone.mp4").symlink_to(elsewhere / "gone.mp4")
    (root / "d").symlink_to(elsewhere / "more")
    (root / "d" / "round").symlink_to(root)
    kept = scan(FOLDER, root)
    assert ids(kept) == ["c/a"]
    (links,) = [problem for problem in kept.problems if problem.kind == "link"]
    assert (links.path, links.count) == ("c/linked.mp4", 2)
    found = scan(FOLDER, root, follow_links=True)
    assert ids(found) == ["c/a", "c/linked", "d/b"]
    assert {"d", "c/linked.mp4"} <= {*found.followed}
    assert problem_paths(found, "unreadable") == ["c/gone.mp4"]


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(tmp_path, "open/a.mp4", "shut/b.mp4")
    list_folder = os.scandir  # root may read every folder, so the refusal is simulated

    def refusing(path: os.PathLike[str]) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = scan(FOLDER, root)
    assert ids(found) == ["open/a"]
    assert [(p.kind, p.path, p.reason) for p in found.problems] == [
        ("unreadable", "shut", "Permission denied")
    ]


def test_a_name_that_is_no_text_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path, "c/a.mp4")
    Path(os.fsdecode(os.fsencode(root) + b"/c/caf\xe9.mp4")).touch()
    found = scan(FOLDER, root)
    assert ids(found) == ["c/a"]
    assert problem_paths(found, "name") == ["c/caf\\xe9.mp4"]


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_an_empty_folder_is_one_clear_line(tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(UserError, match=f"no video found.*{dataset.name} has the layout") as caught:
        scan(dataset, tmp_path)
    assert dataset.layout in str(caught.value)
    with pytest.raises(UserError, match="is not a folder"):
        scan(dataset, tmp_path / "nowhere")


def test_the_order_on_the_disk_does_not_matter(tmp_path: Path) -> None:
    paths = [f"{name}/{i}.mp4" for name in "abc" for i in range(5)]
    one = scan(FOLDER, tree(tmp_path / "one", *paths))
    assert one == scan(FOLDER, tree(tmp_path / "other", *reversed(paths)))


def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of 10,000 files takes seconds only if nothing is done twice."""
    root = tree(tmp_path, *(f"c{c}/{v}.mp4" for c in range(20) for v in range(10)))
    calls = []
    list_folder = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: calls.append(path) or list_folder(path))
    assert len(scan(FOLDER, root).videos) == 200
    assert len(calls) == 21


@pytest.mark.parametrize("dataset", ["kinetics", "ucf101", "hmdb51"])
def test_no_two_classes_of_a_data_set_share_a_key(dataset: str) -> None:
    names = list(DATASETS[dataset].classes.values())
    assert len({class_key(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("dataset", "name", "group"),
    [
        (UCF101, "v_ApplyEyeMakeup_g07_c02", "g07"),
        (KINETICS, "-VtLx-mcPds_000012_000022", "-VtLx-mcPds"),
        (KINETICS, "-VtLx-mcPds", "-VtLx-mcPds"),
        (KINETICS, "-VtLx-mcPds.mkv", "-VtLx-mcPds"),
        (KINETICS, "my own clip", "my own clip"),
        (HMDB51, "Return_of_the_King_4_run_f_nm_np1_ba_med_18", "Return_of_the_King_4_run"),
        (HMDB51, "nothing like it", "nothing like it"),
        (FOLDER, "a", "a"),
    ],
)
def test_a_name_tells_the_source_it_was_cut_from(dataset: Dataset, name: str, group: str) -> None:
    assert dataset.group(name) == group


def test_genuine_clips_are_found(shared: Path) -> None:
    videos = shared / "data" / "videos"
    assert len(scan(UCF101, videos / "UCF-101").videos) == 11
    assert len(scan(HMDB51, videos / "hmdb51_org").videos) == 1
    assert len(scan(KINETICS, videos / "kinetics").videos) == 2
    assert len(scan(FOLDER, shared / "data" / "groups25").videos) == 145
