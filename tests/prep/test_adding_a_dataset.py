"""The worked example of docs/datasets.md: its module runs as printed."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prep.clip import FrameSettings
from prep.plan import plan_shards
from prep.report import Report
from prep.sources import Sources, find_sources, make_split_rule
from tasd.datasets import DATASETS, Dataset
from tasd.datasets import splits as class_lists
from tasd.errors import UserError
from tasd.store import Store
from tests.datasets.trees import tree

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"
VIDEOS = "20bn-something-something-v2"
# Made-up templates, spelled as the data set spells its own.
TEMPLATES = {
    "11": "Wiggling [something], then [something]",
    "12": "Wiggling [something], then [something]",
    "21": "Looking at [something] that isn't there",
    "31": "Humming to [something]",
    "41": "A class of no split with [something]",
}
SPLITS = {
    "train": "Wiggling something, then something",
    "val": "Looking at something that isn't there",
    "test": "Humming to something",
}


def label(template: str) -> str:
    return template.replace("[", "").replace("]", "")


@pytest.fixture
def ssv2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dataset]:
    """Register the module of the page, with class lists of a person."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Dataset] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    lists = tree(tmp_path / "splits", *(f"ssv2/{split}.txt" for split in SPLITS))
    for split, name in SPLITS.items():
        (lists / "ssv2" / f"{split}.txt").write_text(f"{name}\n")
    monkeypatch.setattr(class_lists, "splits_folder", lambda: lists)
    monkeypatch.setitem(DATASETS, "ssv2", names["SSV2"])
    class_lists.class_splits.cache_clear()
    yield names["SSV2"]
    class_lists.class_splits.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make the unpacked data set; id 99 is a test video, without a label."""
    found = tree(tmp_path / "ssv2", *(f"{VIDEOS}/{name}.webm" for name in [*TEMPLATES, "99"]))
    entries = [
        {"id": name, "label": label(text), "template": text, "placeholders": ["a cup"]}
        for name, text in TEMPLATES.items()
    ]
    (found / "labels").mkdir()
    (found / "labels" / "train.json").write_text(json.dumps(entries[:2]))
    (found / "labels" / "validation.json").write_text(json.dumps(entries[2:]))
    return found


def planned(sources: Sources) -> list[str]:
    plans = plan_shards(sources.videos, (), settings=FrameSettings(), shard_mib=1)
    return sorted(video for shard in plans for video in shard.videos)


def find(dataset: Dataset, root: Path, *lists: Path) -> Sources:
    return find_sources(dataset, root, lists, split_rule=None, say=print)


def test_a_prep_of_the_example_is_planned_from_its_labels(ssv2: Dataset, root: Path) -> None:
    sources = find(ssv2, root)
    assert planned(sources) == [
        "Humming to something/31",
        "Looking at something that isn't there/21",
        "Wiggling something, then something/11",
        "Wiggling something, then something/12",
    ]
    (problem,) = sources.problems
    assert problem.reason.startswith("2 videos without a label of these classes: left out")


def test_a_list_of_the_example_names_the_videos_and_what_is_missing(
    ssv2: Dataset, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.txt").write_text(f"{SPLITS['train']}/12\n{SPLITS['test']}/32\n")
    sources = find(ssv2, root, tmp_path / "x.txt")
    assert planned(sources) == ["Wiggling something, then something/12"]
    assert sources.missing == ("Humming to something/32",)


def test_the_folder_of_videos_alone_is_answered_with_what_lies_beside_it(
    ssv2: Dataset, root: Path
) -> None:
    with pytest.raises(UserError, match=r"labels .*train\.json cannot be read.*--root is"):
        find(ssv2, root / VIDEOS)


def test_without_its_class_lists_the_example_says_where_they_belong(
    ssv2: Dataset, root: Path
) -> None:
    shutil.rmtree(class_lists.splits_folder() / "ssv2")
    with pytest.raises(UserError, match=r"class lists in .*splits is called 'ssv2'"):
        find(ssv2, root)


def test_without_any_code_lists_place_the_videos_of_a_flat_folder(
    root: Path, tmp_path: Path
) -> None:
    """The first way of the page: prep folder --list --split-file."""
    (tmp_path / "x.txt").write_text("".join(f"{label(t)}/{n}\n" for n, t in TEMPLATES.items()))
    lists = tree(tmp_path / "mine", *(f"{split}.txt" for split in SPLITS))
    for split, name in SPLITS.items():
        (lists / f"{split}.txt").write_text(f"{name}\n")
    counts = dict.fromkeys(SPLITS)
    rule = make_split_rule(DATASETS["folder"], counts=counts, file=lists, seed=0)
    sources = find_sources(
        DATASETS["folder"], root / VIDEOS, [tmp_path / "x.txt"], split_rule=rule, say=print
    )
    assert planned(sources) == sorted(f"{label(t)}/{n}" for n, t in TEMPLATES.items())
    assert rule is not None
    names = sorted({video.class_name for video in sources.videos})
    assert rule(names, None) == {split: (name,) for split, name in SPLITS.items()}


def test_genuine_clips_of_the_example_become_a_store(
    ssv2: Dataset, root: Path, shared: Path, run: Callable[..., Report], tmp_path: Path
) -> None:
    clips = sorted((shared / "data" / "videos").rglob("*.avi"))
    for name, clip in zip(("11", "21", "31"), clips, strict=False):
        (root / VIDEOS / f"{name}.webm").write_bytes(clip.read_bytes())
    report = run(root, dataset="ssv2")
    assert report.videos == 3
    assert [remark.path for remark in report.remarks if remark.kind == "unreadable"] == [
        f"{VIDEOS}/12.webm"  # made-up bytes
    ]
    store = Store(tmp_path / "store")
    assert store.classes("train") == {SPLITS["train"]: (f"{SPLITS['train']}/11",)}
    assert store.classes("test") == {SPLITS["test"]: (f"{SPLITS['test']}/31",)}
