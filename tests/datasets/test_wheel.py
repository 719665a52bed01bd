"""The files in the wheel: modules, class lists, real clips, and the mark of a typed package."""

import email
import os
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

from tasd import __version__
from tasd.datasets.splits import SPLIT_NAMES, published, splits_folder

TOP = Path(__file__).parents[2]


def test_what_the_wheel_packs_is_what_the_checkout_holds() -> None:
    settings = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]
    packed = {
        path.relative_to(TOP / "tasd" / "_splits"): path.read_text()
        for pattern in settings["package-data"]["tasd"]
        for path in (TOP / "tasd").glob(pattern)
        if path.suffix == ".txt"
    }
    lists = {
        path.relative_to(TOP / "splits"): path.read_text()
        for path in (TOP / "splits").glob("*/*.txt")
    }
    assert len(lists) == 3 * len(published()) + 1  # the other classes of Kinetics
    assert packed == lists


def test_the_clips_of_the_real_demo_are_packed_with_their_origin() -> None:
    settings = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]
    packed = {
        path for name in settings["package-data"]["tasd"] for path in (TOP / "tasd").glob(name)
    }
    assert len(clips()) == 21
    assert {TOP / name for name in clips()} <= packed


def clips() -> set[str]:
    """The clips of `tasd demo --real`, and their README."""
    files = (path for path in (TOP / "tasd/demo/clips").rglob("*") if path.is_file())
    return {str(path.relative_to(TOP)) for path in files}


def test_the_class_lists_are_found_in_this_checkout() -> None:
    assert splits_folder().resolve() == TOP / "splits"


def sources(top: str) -> list[Path]:
    return list((TOP / top).rglob("*.py"))


def build(source: Path, folder: Path) -> Path:
    """Build a wheel from a copy of the tree, since building writes into it."""
    source.mkdir()
    for name in ("tasd", "prep", "splits"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TOP / name, source / name, symlinks=True, ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, check=True, capture_output=True, timeout=280, env=environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.long
def test_two_builds_of_one_tree_are_the_same_bytes(tmp_path: Path) -> None:
    first = build(tmp_path / "one", tmp_path / "first")
    for path in (TOP / "README.md", TOP / "pyproject.toml"):
        assert path.stat().st_mtime != 1700000000  # the times of the files do not count
    time.sleep(2.1)  # the times in a zip file are even seconds
    second = build(tmp_path / "two", tmp_path / "second")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.long
def test_an_installed_wheel_is_whole_and_finds_its_class_lists(tmp_path: Path) -> None:
    """Builds a wheel, which downloads setuptools, and reads the class lists from it."""
    wheel = build(tmp_path / "source", tmp_path)
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        lists = {
            f"tasd/_splits/{data}/{split}.txt" for data in published() for split in SPLIT_NAMES
        } | {"tasd/_splits/kinetics/other_classes.txt"}
        assert {name for name in names if name.startswith("tasd/_splits/")} == lists
        tops = {name.partition("/")[0] for name in names}
        assert {top for top in tops if not top.endswith(".dist-info")} == {"tasd", "prep"}
        modules = {str(path.relative_to(TOP)) for top in ("tasd", "prep") for path in sources(top)}
        assert modules | {"tasd/py.typed", "prep/py.typed"} <= set(names)
        assert {name for name in names if name.startswith("tasd/demo/clips/")} == clips()
        (entries,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "tasd = tasd.__main__:main" in content.read(entries).decode()
        (metadata,) = [name for name in names if name.endswith("METADATA")]
        fields = email.message_from_bytes(content.read(metadata))
        assert (fields["Name"], fields["Version"]) == ("tasd", __version__)
        assert (fields["License-Expression"], fields["Requires-Python"]) == ("MIT", ">=3.11")
        page = {str(path.relative_to(TOP)) for path in (TOP / "tasd/app/page").iterdir()}
        assert page <= set(names)
        assert {"train", "timm", "app", "cluster", "bench"} <= set(
            fields.get_all("Provides-Extra", [])
        )
        content.extractall(tmp_path / "installed")
    script = "from tasd.datasets import class_splits as c; print(len(c('ucf101')['train']))"
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "installed",
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.strip() == "70"
