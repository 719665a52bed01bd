"""Something-Something V2 as it is downloaded, with the lists of SSv2-Small and SSv2-Full."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from prep.sources import Sources, find_sources, make_split_rule
from tasd import recipes
from tasd.cli.prep import prep
from tasd.datasets.splits import class_splits
from tasd.datasets.ssv2 import SSV2
from tasd.errors import UserError
from tasd.store import Store
from tests.datasets.trees import tree

VIDEOS = "20bn-something-something-v2"
TEMPLATES = {
    "11": "Pouring [something] into [something]",
    "12": "Pouring [something] into [something]",
    "21": "Moving [something] away from the camera",
    "31": "Twisting (wringing) [something] wet until water comes out",
    "41": "Turning [something] upside down",
}
NAMES = {id_: text.replace("[", "").replace("]", "") for id_, text in TEMPLATES.items()}
# As ssv2_CMN, ssv2_OTAM and mmaction2 write them; id 32 is missing.
LISTS = {
    "named": {
        "trainlist03.txt": f"{NAMES['11']}/11\n{NAMES['12']}/12\n",
        "vallist03.txt": f"{NAMES['21']}/21\n",
        "testlist03.txt": f"{NAMES['31']}/31\n{NAMES['31']}/32\n",
    },
    "numbered": {
        "trainlist07.txt": "train0/11\ntrain0/12\n",
        "vallist07.txt": "val0/21\n",
        "testlist07.txt": "test0/31\n",
    },
    "videos": {
        "sthv2_train.txt": "11.webm 92\n12.webm 92\n",
        "sthv2_val.txt": "21.webm 40\n",
        "sthv2_test.txt": "31.webm 170\n",
    },
    "frames": {
        "train.txt": f"{VIDEOS}/11 42 92\n{VIDEOS}/12 40 92\n",
        "validation.txt": f"{VIDEOS}/21 42 40\n",
        "test.txt": f"{VIDEOS}/31 42 170\n",
    },
}


def downloaded(folder: Path, *, prefix: str = "", place: str = "labels") -> Path:
    """Make the unpacked data set; id 99 is a test video, which has no template."""
    root = tree(folder, *(f"{VIDEOS}/{name}.webm" for name in [*TEMPLATES, "99"]))
    (root / place).mkdir(exist_ok=True)
    entries = [
        {"id": id_, "label": "pouring tea", "template": text, "placeholders": ["tea"]}
        for id_, text in TEMPLATES.items()
    ]
    for part, content in (("train", entries[:2]), ("validation", entries[2:])):
        (root / place / f"{prefix}{part}.json").write_text(json.dumps(content))
    (root / place / f"{prefix}test.json").write_text('[{"id": "99"}]')
    (root / place / "labels.json").write_text(json.dumps({NAMES["11"]: "92"}))
    return root


def lists(folder: Path, kind: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name, text in LISTS[kind].items():
        (folder / name).write_text(text)
    return [folder / name for name in LISTS[kind]]


def find(root: Path, *paths: Path, say: Callable[[str], None] = print) -> Sources:
    return find_sources(SSV2, root, paths, split_rule=None, say=say)


@pytest.mark.parametrize("kind", LISTS)
def test_lists_in_the_published_formats_choose_and_split_the_videos(
    tmp_path: Path, kind: str
) -> None:
    root = downloaded(tmp_path / "ssv2")
    sources = find(root, *lists(tmp_path / "lists", kind))
    assert [video.id for video in sources.videos] == sorted(
        f"{NAMES[id_]}/{id_}" for id_ in ("11", "12", "21", "31")
    )
    assert sources.missing == ((f"{NAMES['31']}/32",) if kind == "named" else ())
    assert sources.split_rule is not None
    assert sources.split_rule(sorted(set(NAMES.values())), None) == {
        "train": (NAMES["11"],),
        "val": (NAMES["21"],),
        "test": (NAMES["31"],),
    }


@pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
@pytest.mark.parametrize(
    ("place", "inside"),
    [(".", False), ("labels", False), (".", True), ("labels", True), (VIDEOS, True)],
)
def test_labels_are_found_in_both_spellings_and_in_every_place(
    tmp_path: Path, prefix: str, place: str, inside: bool
) -> None:
    root = downloaded(tmp_path / "ssv2", prefix=prefix, place=place)
    sources = find(root / VIDEOS if inside else root, *lists(tmp_path / "lists", "numbered"))
    assert len(sources.videos) == 4


@pytest.mark.parametrize("place", [".", "..", "labels"])
@pytest.mark.parametrize("folder", ["", "labels/"])
def test_labels_are_read_in_their_archive(tmp_path: Path, place: str, folder: str) -> None:
    root = downloaded(tmp_path / "ssv2", prefix="something-something-v2-")
    with zipfile.ZipFile(root / place / "package-labels.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted((root / "labels").glob("*.json")):
            packed.write(path, f"{folder}{path.name}")
            path.unlink()
    sources = find(root, *lists(tmp_path / "lists", "numbered"))
    assert len(sources.videos) == 4


@pytest.mark.parametrize("how", ["cut", "flipped", "large"])
def test_a_damaged_archive_of_labels_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    root = downloaded(tmp_path / "ssv2")
    path = root / "labels.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("train.json", "validation.json"):
            packed.writestr(name, (root / "labels" / name).read_text())
            (root / "labels" / name).unlink()
    if how == "large":
        monkeypatch.setattr("tasd.datasets.ssv2.MOST_BYTES", 20)
    else:
        content = bytearray(path.read_bytes())
        content[60] ^= 255
        path.write_bytes(content[:-30] if how == "cut" else content)
    with pytest.raises(
        UserError, match=r"the labels .*labels\.zip cannot be read: .+; download"
    ) as told:
        find(root, *lists(tmp_path / "lists", "numbered"))
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["[" * 100_000, '["1"]', "no JSON", '[{"id": 1}]'])
def test_labels_that_are_something_else_are_told(tmp_path: Path, text: str) -> None:
    root = downloaded(tmp_path / "ssv2")
    (root / "labels" / "train.json").write_text(text)
    with pytest.raises(UserError, match=r"train\.json cannot be read: it is no list of entries"):
        find(root, *lists(tmp_path / "lists", "numbered"))


def test_the_classes_of_ssv2_small_are_recognised(tmp_path: Path) -> None:
    root, told = downloaded(tmp_path / "ssv2"), []
    folder = tmp_path / "lists"
    folder.mkdir()
    for split, names in class_splits("ssv2-small").items():
        (folder / f"{split}list03.txt").write_text(
            "".join(f"{name}/11{i}\n" for name in names for i in range(9))
        )
        with (folder / f"{split}list03.txt").open("a") as file:
            file.writelines(f"{NAMES[id_]}/{id_}\n" for id_ in NAMES if NAMES[id_] in names)
    find(root, *sorted(folder.iterdir()), say=told.append)
    assert told == ["the classes are those of ssv2-small: 64/12/24 for train, val and test"]
    find(root, *lists(tmp_path / "other", "numbered"), say=told.append)
    assert told[1] == "the lists split the classes: 1/1/1 for train, val and test"


def test_mistakes_with_lists_and_labels_are_one_line(tmp_path: Path) -> None:
    root = downloaded(tmp_path / "ssv2")
    train, val, test = lists(tmp_path / "lists", "named")
    for given, reason in (
        ((), r"ssv2 needs a list of the videos of train and of val and of test.*tobyperrett/trx"),
        ((train, test), r"ssv2 needs a list of the videos of val;"),
        ((train, val, test, train.with_name("x.txt")), r"the list .*x\.txt tells no split"),
        ((train, val, test, train.with_name("my_val.txt")), r"class 'Pouring .* share no class"),
    ):
        (tmp_path / "lists" / "x.txt").write_text(f"{NAMES['11']}/11\n")
        (tmp_path / "lists" / "my_val.txt").write_text(f"{NAMES['11']}/11\n")
        with pytest.raises(UserError, match=reason) as caught:
            find(root, *given)
        assert "\n" not in str(caught.value)
    for content in ("{", "[1]", '{"a": 1}', '[{"id": 1}]', "[" * 99_999):
        (root / "labels" / "train.json").write_text(content)
        with pytest.raises(UserError, match=r"the labels .*train\.json cannot be read"):
            find(root, train, val, test)
    (root / "labels" / "train.json").unlink()
    with pytest.raises(UserError, match=r"no something-something-v2-train\.json nor train\.json"):
        find(root, train, val, test)


def test_the_options_of_prep_folder_are_refused() -> None:
    counts = {"train": 3, "val": None, "test": None}
    with pytest.raises(UserError, match="--train-classes is for prep folder"):
        make_split_rule(SSV2, counts=counts, file=None, seed=0)


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_training_on_it_flips_no_video_unless_asked(recipe: str) -> None:
    assert not recipes.make(recipe, dataset="ssv2", shot=1).data.flip
    assert recipes.make(recipe, dataset="ssv2", shot=1, settings=[("data.flip", True)]).data.flip
    assert recipes.make(recipe, dataset="kinetics", shot=1).data.flip


def test_prep_ssv2_makes_a_store_with_the_splits_of_the_lists(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "home"))
    root = downloaded(tmp_path / "ssv2", prefix="something-something-v2-")
    clips = sorted((shared / "data" / "videos").rglob("*.avi"))
    for id_, clip in zip(("11", "12", "21", "31"), clips, strict=False):
        (root / VIDEOS / f"{id_}.webm").write_bytes(clip.read_bytes())
    words = ["ssv2", "--root", str(root), "--frames", "4", "--size", "64", "--workers", "1"]
    given = [f"--list={path}" for path in lists(tmp_path / "lists", "numbered")]
    app = typer.Typer()
    app.command()(prep)
    result = CliRunner().invoke(app, [*words, *given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    store = Store(tmp_path / "home" / "stores" / "ssv2")
    assert store.dataset == "ssv2"
    assert store.classes("train") == {NAMES["11"]: (f"{NAMES['11']}/11", f"{NAMES['11']}/12")}
    assert store.classes("test") == {NAMES["31"]: (f"{NAMES['31']}/31",)}
