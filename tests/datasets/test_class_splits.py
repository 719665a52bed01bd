"""The published class lists, and the split of the user's own classes."""

import hashlib
import json
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasd.datasets import class_splits, read_list
from tasd.datasets.fetch import CMN_SHA256
from tasd.datasets.folder import read_split, split_classes
from tasd.datasets.kinetics import KINETICS
from tasd.datasets.splits import SPLIT_NAMES, other_classes, published, splits_folder
from tasd.errors import UserError

COUNTS = {
    "kinetics": (64, 12, 24),
    "ucf101": (70, 10, 21),
    "hmdb51": (31, 10, 10),
    "ssv2-small": (64, 12, 24),
}


@pytest.mark.parametrize("dataset", published())
def test_the_published_splits_have_their_numbers_and_share_no_class(dataset: str) -> None:
    splits = class_splits(dataset)
    assert tuple(len(splits[split]) for split in SPLIT_NAMES) == COUNTS[dataset]
    assert all(not set(splits[a]) & set(splits[b]) for a, b in combinations(SPLIT_NAMES, 2))
    assert all(list(names) == sorted(set(names)) for names in splits.values())


def test_the_class_lists_are_those_that_were_compared(shared: Path) -> None:
    expected = json.loads((shared / "splits" / "classes.json").read_text())
    for dataset in expected.keys() & published().keys():
        for split in SPLIT_NAMES:
            assert list(class_splits(dataset)[split]) == sorted(expected[dataset][split])


@pytest.mark.parametrize(("split", "videos"), [("train", 6400), ("val", 1200), ("test", 2400)])
def test_the_lists_of_cmn_name_a_hundred_videos_of_each_class(
    shared: Path, split: str, videos: int
) -> None:
    path = shared / "splits" / f"kinetics100_cmn_{split}.txt"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == CMN_SHA256[split]
    lines = read_list(KINETICS, path)
    assert len(lines) == videos
    classes = [line.class_name for line in lines]
    assert sorted(set(classes)) == list(class_splits("kinetics")[split])
    assert {classes.count(name) for name in set(classes)} == {100}


def test_a_data_set_without_published_split_is_answered_with_those_that_have_one() -> None:
    with pytest.raises(UserError, match="hmdb51, kinetics, ssv2-small, ucf101"):
        class_splits("folder")


def test_no_list_of_videos_is_part_of_the_project() -> None:
    files = [path for path in splits_folder().rglob("*") if path.is_file()]
    others = {"README.md", "other_classes.txt"}
    assert sorted(path.name for path in files if path.name not in others) == sorted(
        f"{split}.txt" for split in SPLIT_NAMES for _ in COUNTS
    )
    assert sum(path.stat().st_size for path in files) < 30_000


def test_other_classes_are_in_no_split() -> None:
    others = other_classes("kinetics")
    splits = {name for names in class_splits("kinetics").values() for name in names}
    assert len(others) == 604
    assert not others & splits
    assert other_classes("ucf101") == frozenset()


NAMES = st.lists(st.text(min_size=1, max_size=5), min_size=6, max_size=60, unique=True)


@given(names=NAMES, seed=st.integers(0, 2**32))
def test_every_class_lands_in_one_split_and_every_split_can_make_episodes(
    names: list[str], seed: int
) -> None:
    splits = split_classes(names, seed=seed)
    assert sorted(name for members in splits.values() for name in members) == sorted(names)
    assert min(map(len, splits.values())) >= (5 if len(names) >= 15 else 2)
    assert max(map(len, splits.values())) == len(splits["train"])
    assert split_classes(names[::-1], seed=seed) == splits


def test_the_seed_decides_which_classes_are_tested() -> None:
    names = [f"class {i}" for i in range(25)]
    assert len({split_classes(names, seed=seed)["test"] for seed in range(10)}) > 5


@given(names=NAMES, data=st.data())
def test_asked_numbers_are_given(names: list[str], data: st.DataObject) -> None:
    train = data.draw(st.integers(0, len(names)))
    val = data.draw(st.integers(0, len(names) - train))
    counts = {"train": train, "val": val, "test": len(names) - train - val}
    splits = split_classes(names, seed=0, counts=counts)
    assert {split: len(splits[split]) for split in SPLIT_NAMES} == counts


def test_splits_that_ask_nothing_share_the_rest() -> None:
    names = [f"{i:02}" for i in range(100)]
    splits = split_classes(names, seed=0, counts={"val": 16, "test": None})
    assert {split: len(splits[split]) for split in SPLIT_NAMES} == {
        "train": 64,
        "val": 16,
        "test": 20,
    }


@given(names=NAMES, more=NAMES, seed=st.integers(0, 9))
def test_classes_added_later_move_no_class_to_another_split(
    names: list[str], more: list[str], seed: int
) -> None:
    assume(not set(names) & set(more))
    before = split_classes(names, seed=seed)
    after = split_classes(names + more, seed=seed, kept=before)
    assert all(set(before[split]) <= set(after[split]) for split in SPLIT_NAMES)
    assert sorted(n for members in after.values() for n in members) == sorted(names + more)


@pytest.mark.parametrize(
    ("classes", "counts"),
    [
        (5, {}),
        (10, {"train": 8, "val": 2, "test": 2}),
        (10, {"train": 9}),
        (10, {"test": -1}),
    ],
)
def test_too_few_classes_are_one_clear_line(classes: int, counts: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"the folder has {classes} classes"):
        split_classes([str(i) for i in range(classes)], seed=0, counts=counts)


SPLIT = {"train": ["b", "a"], "val": ["c"], "test": ["d"]}


def test_a_split_of_ones_own_is_a_json_file_or_a_folder_of_lists(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(json.dumps(SPLIT))
    for split, names in SPLIT.items():
        (tmp_path / f"{split}.txt").write_text("\n".join(names))
    expected = {"train": ("a", "b"), "val": ("c",), "test": ("d",)}
    assert read_split(tmp_path / "split.json", list("abcde")) == expected
    assert read_split(tmp_path, list("abcde")) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not a split"),
        ("[]", "is not a split"),
        ('{"train": ["a"]}', "is not a split"),
        ('{"train": 1, "val": [], "test": []}', "is not a split"),
        ('{"train": ["x"], "val": [], "test": []}', "'x' of train in .* has no folder"),
        ('{"train": ["a"], "val": [], "test": ["a"]}', "'a' is in train and in test"),
    ],
)
def test_a_split_that_cannot_be_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UserError, match=reason):
        read_split(tmp_path / "split.json", list("abcd"))


def test_a_split_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_split(tmp_path / "none.json", ["a"])
    with pytest.raises(UserError, match="cannot be read"):
        read_split(tmp_path, ["a"])


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_a_folder_of_few_classes_is_shown_the_way_to_predict(classes: int) -> None:
    words = rf"has {classes} class(es)?, too few .*tasd predict --support FOLDER CLIPS"
    with pytest.raises(UserError, match=words):
        split_classes([f"class {n}" for n in range(classes)], seed=0)
