"""Lists in the formats of other projects: numbers of labels, quotes, paths, annotations."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasd.datasets import Dataset, read_list, scan, select
from tasd.datasets.folder import FOLDER
from tasd.datasets.kinetics import KINETICS
from tasd.datasets.label_maps import read_label_map
from tasd.datasets.ucf101 import UCF101
from tasd.errors import UserError
from tests.datasets.trees import tree

ID = "-VtLx-mcPds_000012_000022"
CLASS = "air drumming"
HEADER = "label,youtube_id,time_start,time_end,split"


def read(folder: Path, content: str | bytes, dataset: Dataset = KINETICS, **options: Path):
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "train.csv").write_bytes(data)
    return [v.id for v in read_list(dataset, folder / "train.csv", root=folder, **options)]


@pytest.mark.parametrize(
    "line",
    [
        f"air_drumming/{ID}.mp4 0",
        f"air_drumming/{ID} 300 0",
        f"air_drumming/{ID} 0",
        f"train_256/air drumming/{ID}.mp4 0",
        f"{{root}}/train/air_drumming/{ID}.mp4,0",
        f"{{root}}/train/air drumming/{ID}.mp4 0",
        f"air_drumming/{ID}.mp4, 0",
        f"air drumming/{ID}.mp4,300,0",
        f'"air drumming/{ID}.mp4",0',
        f'"{{root}}/air drumming/{ID}.mp4" 0',
        f"'air drumming/{ID}.mp4' 300 0",
        f'"air drumming/{ID}"',
        f"air_drumming\\{ID}.mp4 0",
        f".\\train\\air drumming\\{ID}.mp4,0",
        f"videos/{ID}.mp4,air drumming",
        f"path,label\nair drumming/{ID}.mp4,0",
        f"\ufeffair_drumming/{ID}.mp4 0\r\n\r\n",
        f"air_drumming/{ID}.mp4 0\rair_drumming/{ID}.mp4 0\r",
        f"{HEADER}\nair drumming,-VtLx-mcPds,12,22,train",
        f'{HEADER}\r\n"air drumming",-VtLx-mcPds,12.0,22.0,train\r\n',
        f"{HEADER},is_cc\nair drumming,-VtLx-mcPds,12,22,train,0",
    ],
)
def test_every_format_of_the_field_names_the_same_video(tmp_path: Path, line: str) -> None:
    assert read(tmp_path, line.replace("{root}", str(tmp_path))) == [f"{CLASS}/{ID}"]


def test_a_list_in_utf_16_as_windows_writes_it_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, f"air_drumming/{ID}.mp4 0\r\n".encode("utf-16")) == [f"{CLASS}/{ID}"]


MAPS = {
    "label_map_k400.txt": "abseiling\nair drumming\n",
    "classInd.txt": "0 abseiling\n1 air drumming\r\n",
    "labels.csv": "id,name\n0,abseiling\n1,air drumming\n",
    "kinetics_400_labels.csv": "name\tx\nabseiling,0\nair drumming,1\n",
    "labels.json": json.dumps({"abseiling": "0", "air drumming": "1"}),
    "label_map.json": json.dumps({"0": "abseiling", "1": "air drumming"}),
    "label_map.txt": json.dumps(["abseiling", "air drumming"]),
}


@pytest.mark.parametrize("name", MAPS)
def test_numbers_are_named_by_a_file_beside_the_list_or_by_labels(
    tmp_path: Path, name: str
) -> None:
    content = MAPS[name].removeprefix("name\tx\n")
    (tmp_path / name).write_text(content)
    assert read(tmp_path, f"{ID}.mp4 1\n") == [f"{CLASS}/{ID}"]
    assert read(tmp_path, f"train/{ID} 250 1\n") == [f"{CLASS}/{ID}"]
    (tmp_path / name).rename(tmp_path / "mine")
    with pytest.raises(UserError, match=r"line 1 of .* has the label 1 and no class.*--labels"):
        read(tmp_path, f"train/{ID} 250 1\n")
    assert read(tmp_path, f"train/{ID} 1\n", labels=tmp_path / "mine") == [f"{CLASS}/{ID}"]


def test_labels_that_contradict_the_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("air drumming\narm wrestling\n")
    with pytest.raises(UserError, match=r"is 'arm wrestling' in .*but the folder 'air_drumming'"):
        read(tmp_path, f"air_drumming/{ID}.mp4 1", labels=tmp_path / "mine")
    with pytest.raises(UserError, match=r"has the label 7, and the labels .* have 0 to 1"):
        read(tmp_path, f"{ID}.mp4 7", labels=tmp_path / "mine")


def test_several_files_of_labels_beside_a_list_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "classInd.txt", "label_map.txt", content=b"air drumming\n")
    with pytest.raises(UserError, match=r"classInd.txt, label_map.txt.*--labels"):
        read(tmp_path, f"{ID}.mp4 0")


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"a\0b", b"1 a\n1 b\n", b"{", b'{"a": "b"}', b"{}", b"[" * 99_999],
)
def test_labels_that_cannot_be_read_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(UserError, match="in no known format") as caught:
        read_label_map(tmp_path / "mine")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_annotations_of_all_classes_give_those_of_the_splits(tmp_path: Path) -> None:
    told: list[str] = []
    rows = [f"{CLASS},aaaaaaaaaaa,1,11,train", "abseiling,bbbbbbbbbbb,1,11,train"]
    (tmp_path / "train.csv").write_text("\n".join([HEADER, *rows]))
    found = read_list(KINETICS, tmp_path / "train.csv", say=told.append)
    assert [video.id for video in found] == [f"{CLASS}/aaaaaaaaaaa_000001_000011"]
    assert "1 of 2 lines passed over, of classes in no split of kinetics (1, as" in told[0]
    with pytest.raises(UserError, match=r"no line of .* is of a class of the splits.*'abseiling'"):
        read(tmp_path, f"{HEADER}\n{rows[1]}")
    with pytest.raises(UserError, match="has no column 'label'"):
        read(tmp_path, "youtube_id,time_start,time_end,split\naaaaaaaaaaa,1,11,test")


def test_annotations_place_the_videos_of_the_flat_mirror(tmp_path: Path, shared: Path) -> None:
    root = shared / "cases" / "cvdf_replacement" / "root"
    rows = [f"{CLASS},AAAAAAAAAAA,1,11,train", "arm wrestling,DDDDDDDDDDD,1,11,validate"]
    (tmp_path / "train.csv").write_text("\n".join([HEADER, *rows]))
    listed = read_list(KINETICS, tmp_path / "train.csv", root=root)
    selection = select(KINETICS, scan(KINETICS, root), listed)
    assert selection.missing == ()
    assert [(v.class_name, v.path[:9]) for v in selection.videos] == [
        (CLASS, "train/AAA"),
        ("arm wrestling", "val/DDDDD"),
    ]


def test_a_split_of_ucf101_is_a_list(tmp_path: Path) -> None:
    line = "Archery/v_Archery_g08_c01.avi"
    expected = ["Archery/v_Archery_g08_c01"]
    for text in (f"{line} 3", line, f"{line[8:]} 3", line[8:], f"{line[8:-4]} 166 3"):
        assert read(tmp_path, text, UCF101) == expected


def test_numbers_at_the_end_of_names_stay(tmp_path: Path) -> None:
    assert read(tmp_path, "a/take 1\na/take", FOLDER) == ["a/take 1", "a/take"]
    assert read(tmp_path, "a/take 1\na/take 2", FOLDER) == ["a/take 1", "a/take 2"]
    assert read(tmp_path, "a/take 1.mp4", FOLDER) == ["a/take 1"]
    assert read(tmp_path, "a, b/7", FOLDER) == ["a, b/7"]


@pytest.mark.parametrize(
    "content",
    [
        b"x" * (10 << 20),
        b"a/b\n" + b"x/" * (5 << 20),
        b"\0" * 4096,
        b"a/b\0c\n",
        bytes(range(256)) * 16,
        b"\x1f\x8b\x08\x00" + b"\xf0" * 100,
        b"../x/y\n",
        b"a/../../y.mp4 0\n",
        b"..\\..\\y\\z.mp4,0",
        b'"../x/y.mp4",0',
        b"/etc/x/y.mp4 0",
        b"C:\\data\\x\\y.mp4,0",
        b"\n \r\n\t\n",
        b"lonely\n",
        b"[]",
        b'{"a": 1}',
        b"\x1b[2Jlonely",
        b"a/b.mp4 " + b"9" * 5000,
        b"label,youtube_id\nx",
        b"label,youtube_id,time_start,time_end,split\nair drumming,x,1e999,2,train",
        b'label,youtube_id,time_start,time_end,split\n"air drumming,x,nan,2,train',
    ],
)
def test_hostile_lists_are_one_short_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, content)
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < 700
    assert str(tmp_path) in text


def test_the_first_line_in_no_format_is_quoted_with_the_formats(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 2 of .* no known format: 'lonely'; .*path,label"):
        read(tmp_path, f"air_drumming/{ID}.mp4\nlonely\n")


@given(st.lists(st.text(alphabet="ab/. \\\",'0\r\u00e9", max_size=30), max_size=4))
@example(["0\\ \\0"])  # a class of a space
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, lines) -> None:
    folder = tmp_path_factory.mktemp("lists")
    for dataset in (KINETICS, FOLDER):
        try:
            ids = read(folder, "\n".join(lines), dataset)
        except UserError:
            continue
        assert all(id_.count("/") == 1 and all(id_.split("/")) for id_ in ids)
