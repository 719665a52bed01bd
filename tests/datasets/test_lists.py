"""Lists of videos in both formats of the field find their files in every spelling."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasd.datasets import Dataset, Listed, Selection, SourceVideo, read_list, scan, select
from tasd.datasets.base import Scan
from tasd.datasets.folder import FOLDER
from tasd.datasets.hmdb51 import HMDB51
from tasd.datasets.kinetics import KINETICS
from tasd.datasets.ucf101 import UCF101
from tasd.errors import UserError
from tests.datasets.trees import tree

ID = "-VtLx-mcPds_000012_000022"


def read(dataset: Dataset, folder: Path, *lines: str) -> list[str]:
    (folder / "x.list").write_text("\n".join(lines), encoding="utf-8")
    return [listed.id for listed in read_list(dataset, folder / "x.list")]


@pytest.mark.parametrize(
    "line",
    [
        f"air drumming/{ID}",
        f"air_drumming/{ID}",
        f"  air_drumming/{ID}.mp4  ",
        f"train0//air_drumming/{ID}.mp4",
        f"train17//kinetics/train_256/air drumming/{ID}.mkv",
        f"val/air_drumming/{ID}.webm",
        f"air_drumming/{ID}.mp4 0",
    ],
)
def test_every_line_format_names_the_same_video(tmp_path: Path, line: str) -> None:
    assert read(KINETICS, tmp_path, line) == [f"air drumming/{ID}"]


def test_signs_of_hmdb51_pass_through_a_list(tmp_path: Path) -> None:
    name = "#4 A(b)[c]&;+~@! x.y_ride_bike_f_cm_np1_le_med_0"
    assert read(HMDB51, tmp_path, f"ride_bike/{name}.avi") == [f"ride_bike/{name}"]


def test_blank_lines_and_repeated_ones_count_once(tmp_path: Path) -> None:
    assert read(
        KINETICS, tmp_path, "", f"air drumming/{ID}", " ", f"air_drumming/{ID}.mp4", ""
    ) == [f"air drumming/{ID}"]


@pytest.mark.parametrize(
    "line",
    [
        "../a/b",
        "a/../../b",
        "/etc/passwd",
        "train0///etc/passwd",
        "a/..",
        "c\\..\\b",
        "train0//../a/b",
    ],
)
def test_a_line_that_leads_out_of_the_data_set_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"line 2 of .* leads out of the data set"):
        read(KINETICS, tmp_path, f"air drumming/{ID}", line)


@pytest.mark.parametrize("line", ["lonely", "a/", "train0//x.mp4"])
def test_a_line_that_is_no_class_and_name_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(
        UserError, match=rf"line 1 of .* is in no known format: '{line}'; known are class/name"
    ):
        read(KINETICS, tmp_path, line)


def test_a_list_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_list(KINETICS, tmp_path / "none.list")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a text in UTF-8"):
        read_list(KINETICS, tmp_path / "binary")
    (tmp_path / "empty").touch()
    with pytest.raises(UserError, match="is empty"):
        read_list(KINETICS, tmp_path / "empty")


@given(st.text())
def test_any_line_is_read_or_refused(line: str) -> None:
    """`read_list` is a function of the text alone; the file is skipped for speed."""
    from tasd.datasets.list_lines import _line
    from tasd.datasets.lists import _Reader

    try:
        parsed = _line(line.strip(), None, "line 1")
        listed = _Reader(KINETICS, Path("nowhere/x.list")).listed(parsed)
    except UserError:
        return
    assert listed.name
    assert listed.class_name
    assert "/" not in listed.name + listed.class_name


def listed(*ids: str) -> list[Listed]:
    return [Listed(*text.split("/")) for text in ids]


def chosen(selection: Selection) -> list[tuple[str, str]]:
    return [(video.id, video.path) for video in selection.videos]


def test_a_bare_id_is_the_clip_that_the_list_names(tmp_path: Path) -> None:
    root = tree(tmp_path, "air_drumming/-VtLx-mcPds.mp4", "air_drumming/other------.mp4")
    selection = select(KINETICS, scan(KINETICS, root), listed(f"air drumming/{ID}"))
    assert chosen(selection) == [("air drumming/-VtLx-mcPds", "air_drumming/-VtLx-mcPds.mp4")]
    assert selection.missing == ()


def test_the_exact_clip_goes_before_another_cut_of_the_same_video(tmp_path: Path) -> None:
    other = "-VtLx-mcPds_000001_000011"
    root = tree(tmp_path, f"air_drumming/{other}.mp4", f"air_drumming/{ID}.mp4")
    found = scan(KINETICS, root)
    assert chosen(select(KINETICS, found, listed(f"air drumming/{ID}")))[0][0].endswith(ID)
    assert chosen(select(KINETICS, found, listed(f"air drumming/{other}")))[0][0].endswith(other)


def test_ids_that_differ_in_case_are_different_videos(tmp_path: Path) -> None:
    root = tree(tmp_path, "air_drumming/aaaaaaaaaaA.mp4")
    selection = select(KINETICS, scan(KINETICS, root), listed("air drumming/aaaaaaaaaaa"))
    assert selection.missing == tuple(listed("air drumming/aaaaaaaaaaa"))


def test_lists_of_ucf101_write_the_odd_class_either_way(tmp_path: Path) -> None:
    root = tree(tmp_path, "HandstandPushups/v_HandStandPushups_g01_c01.avi")
    lines = listed("HandstandPushups/v_HandstandPushups_g01_c01")
    selection = select(UCF101, scan(UCF101, root), lines)
    assert [video.id for video in selection.videos] == [
        "HandstandPushups/v_HandStandPushups_g01_c01"
    ]


def test_a_list_places_the_videos_of_a_flat_download(tmp_path: Path) -> None:
    root = tree(tmp_path, f"train/{ID}.mp4", "train/bbbbbbbbbbb_000001_000011.mp4")
    found = scan(KINETICS, root)
    assert found.videos == ()
    selection = select(KINETICS, found, listed(f"air drumming/{ID}"))
    assert chosen(selection) == [(f"air drumming/{ID}", f"train/{ID}.mp4")]
    without = select(KINETICS, found)
    assert without.videos == ()
    assert "2 videos in no class folder" in without.problems[0].reason


def test_what_a_list_names_and_the_disk_lacks_is_missing(tmp_path: Path) -> None:
    root = tree(tmp_path, f"air_drumming/{ID}.mp4", "air_drumming/unlisted.mp4")
    lines = listed(f"air drumming/{ID}", "air drumming/gone", "bowling/gone", "zumba/gone")
    selection = select(KINETICS, scan(KINETICS, root), lines)
    assert [video.name for video in selection.videos] == [ID]
    assert [line.id for line in selection.missing] == [line.id for line in lines[1:]]
    assert [(p.kind, p.path) for p in selection.problems] == [("no split", "zumba")]


def test_without_a_list_kinetics_gives_a_hundred_a_class_by_name(tmp_path: Path) -> None:
    names = [f"{i:011}" for i in range(130)]
    videos = [SourceVideo("bowling", name, f"bowling/{name}.mp4", 1) for name in names]
    assert [v.name for v in select(KINETICS, Scan(tuple(videos))).videos] == names[:100]
    assert len(select(FOLDER, Scan(tuple(videos))).videos) == 130


def test_a_list_is_found_whole_where_all_of_it_is_there(shared: Path) -> None:
    lines = read_list(KINETICS, shared / "splits" / "kinetics100_cmn_test.txt")
    videos = [
        SourceVideo(line.class_name, line.name, f"{line.class_name}/{line.name}.mp4", 1)
        for line in lines
    ]
    selection = select(KINETICS, Scan(tuple(videos)), reversed(lines))
    assert selection.missing == ()
    assert len(selection.videos) == 2400
    assert list(selection.videos) == sorted(
        videos, key=lambda video: (video.class_name, video.name)
    )
