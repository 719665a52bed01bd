"""Files are written whole or not at all; JSON documents are read only as what they are."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tasd.errors import UserError
from tasd.files import as_json, read_json, replacing, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "made" / "on the way" / "file"
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("error", [OSError, ZeroDivisionError, KeyboardInterrupt])
def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half of the n")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_bytes() == b"old"


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"  # the one that ended last
    assert names(tmp_path) == ["file"]


def test_a_temporary_file_is_hidden_and_lies_in_the_same_folder(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as temporary:
        temporary.touch()
    assert temporary.parent == tmp_path
    assert temporary.name.startswith(".file.")
    assert temporary.name.endswith(".writing")


def test_a_text_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as refused:
        write_text(tmp_path / "file" / "text", "text")
    assert f"{tmp_path / 'file' / 'text'} cannot be written (" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_in_the_place_of_a_text_stays(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "text", "text")
    assert names(tmp_path) == ["text"]


DOCUMENT = {"format": "of a test", "version": 3, "name": "grün"}


def read(path: Path, **options: Any) -> dict[str, Any]:
    expected = {"format": "of a test", "version": 3, "what": "a test", "way_out": "write it again"}
    return read_json(path, **(expected | options))


@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_comes_back_as_it_was_written(tmp_path: Path, indent: int | None) -> None:
    write_json(tmp_path / "a.json", DOCUMENT, indent=indent)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == json.dumps(DOCUMENT, indent=indent, ensure_ascii=False) + "\n"
    assert read(tmp_path / "a.json") == DOCUMENT


def test_a_document_need_not_name_its_format(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"version": 3})
    assert read(tmp_path / "a.json", format=None) == {"version": 3}
    with pytest.raises(UserError, match="is not a test; write it again"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read (Expecting value"),
        (b"{", "cannot be read (Expecting property name"),
        (b"\xff", "cannot be read ('utf-8' codec"),
        (b"[" * 100_000, "cannot be read ("),
        (b"[]", "is not a test"),
        (b"null", "is not a test"),
        (b'{"format": "other", "version": 3}', "is not a test"),
        (b'{"version": 3}', "is not a test"),
        (b'{"format": "of a test"}', "has version None of its format, this tasd reads version 3"),
        (b'{"format": "of a test", "version": "3"}', "has version '3' of its format"),
        (b'{"format": "of a test", "version": 4}', "has version 4 of its format"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read(path)
    line = str(refused.value)
    assert line.startswith(f"{path} {reason}")
    assert line.endswith("; write it again")
    assert "\n" not in line


def test_a_file_that_is_missing_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(No such file or directory\); write it"):
        read(tmp_path / "none.json")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\); write it again"):
        read(tmp_path)


def test_one_writer_replaces_what_a_killed_one_left(tmp_path):
    left = tmp_path / ".large.bin.writing"
    left.write_bytes(b"half")
    with replacing(tmp_path / "large.bin", one_writer=True) as temporary:
        assert temporary == left
        temporary.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["large.bin"]
    assert (tmp_path / "large.bin").read_bytes() == b"whole"


def test_numbers_that_json_has_not_are_null_with_every_option():
    content = {"b": math.nan, "a": [math.inf, {"c": -math.inf}, (1.5, math.nan)]}
    for options in ({}, {"sort_keys": True}, {"indent": 1}, {"ascii": True}):
        read = json.loads(as_json(content, **options), parse_constant=pytest.fail)
        assert read == {"b": None, "a": [None, {"c": None}, [1.5, None]]}


def test_half_of_a_character_is_escaped_since_no_file_takes_it(tmp_path):
    write_json(tmp_path / "a.json", {"clip": "grün\udcff"})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"clip": "grün\udcff"}
    assert as_json("grün") == '"grün"'
