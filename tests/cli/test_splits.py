"""The commands of ``tasd splits``, run as from a terminal."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tasd.cli.splits import app
from tasd.errors import UserError
from tests.datasets.trees import tree


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASD_HOME", str(tmp_path / "home"))


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, UserError)
    return str(result.exception)


def test_show_counts_the_classes_of_every_data_set() -> None:
    lines = [line.split() for line in run("show").stdout.splitlines() if line.strip()]
    assert ["kinetics", "64", "12", "24"] in lines
    assert ["ucf101", "70", "10", "21"] in lines
    assert ["hmdb51", "31", "10", "10"] in lines


def test_show_names_the_classes_of_one_data_set() -> None:
    output = run("show", "kinetics").stdout
    assert "hurling (sport)" in output
    assert json.loads(run("show", "hmdb51", "--json").stdout)["hmdb51"]["test"][0] == "fencing"


def test_show_answers_a_wrong_name_with_the_right_ones() -> None:
    assert "hmdb51, kinetics, ssv2-small, ucf101" in refused("show", "kinetcs")


def test_fetch_says_which_data_set_has_a_list() -> None:
    assert "only kinetics" in refused("fetch", "ucf101")


@pytest.fixture
def kinetics(tmp_path: Path) -> Path:
    """A root with three of the five listed videos, and one that no list names."""
    (tmp_path / "x.list").write_text(
        "".join(f"bowling/{name * 11}_000000_000010\n" for name in "abc")
        + "train0//air_drumming/d.mp4\ntrain0//air_drumming/e.mp4\n"
    )
    return tree(
        tmp_path / "root",
        "bowling/aaaaaaaaaaa_000000_000010.mp4",
        "train/bowling/bbbbbbbbbbb.mkv",
        "air_drumming/d.webm",
        "air_drumming/more.mp4",
        "zumba/z.mp4",
    )


def test_check_counts_what_a_list_names_class_by_class(kinetics: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.list"
    command = ["check", "kinetics", "--root", kinetics, "--list", tmp_path / "x.list"]
    result = run(*command, "--missing", missing)
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["train", "bowling", "2", "3", "1"] in rows
    assert ["train", "air", "drumming", "1", "2", "1"] in rows
    assert "train: 3 of 5 videos" in result.stdout
    assert "zumba" in result.stderr
    assert missing.read_text().splitlines() == [
        "bowling/ccccccccccc_000000_000010",
        "air drumming/e",
    ]
    # The file of missing videos is itself a list.
    again = json.loads(run(*command[:5], missing, "--json").stdout)
    assert again["missing"] == missing.read_text().splitlines()
    assert {row["found"] for row in again["classes"]} == {0}


def test_check_without_a_list_counts_what_is_there(kinetics: Path) -> None:
    result = run("check", "kinetics", "--root", kinetics)
    assert "tasd splits fetch kinetics" in result.stderr
    assert "train: 4 videos" in result.stdout
    counts = json.loads(run("check", "kinetics", "--root", kinetics, "--json").stdout)["classes"]
    assert len(counts) == 100
    assert sum(row["found"] for row in counts) == 4


def test_check_needs_a_list_to_tell_what_is_missing(kinetics: Path, tmp_path: Path) -> None:
    assert "--list" in refused("check", "kinetics", "--root", kinetics, "--missing", tmp_path / "x")


def test_check_says_where_it_cannot_write(kinetics: Path, tmp_path: Path) -> None:
    line = refused(
        *("check", "kinetics", "--root", kinetics, "--list", tmp_path / "x.list"),
        *("--missing", tmp_path / "x.list" / "x"),
    )
    assert "cannot be written" in line


def test_square_brackets_of_a_class_are_printed_as_they_are(tmp_path: Path) -> None:
    root = tree(tmp_path, "[bold]/a.mp4")
    assert "[bold]" in run("check", "folder", "--root", root).stdout
