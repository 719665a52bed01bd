"""The tree stays what docs/architecture.md says."""

import ast
import re
from pathlib import Path

import pytest

from tests.draw_architecture import NOTES, PICTURE, ROOT, drawing, imports, layers, reduced

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_the_picture_is_drawn_from_the_imports_of_today():
    assert PICTURE.read_text("utf-8") == drawing(), "run python -m tests.draw_architecture"


def test_an_import_that_others_imply_is_left_out_and_no_other():
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert reduced(graph) == [("a", "b"), ("b", "c")]


def test_every_package_stands_in_the_picture_and_on_the_page():
    packages = {name for row in layers() for name in row} | {"prep"}
    assert set(NOTES) == packages
    named = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert set(named) >= packages


def test_arrows_point_down():
    row = {name: number for number, names in enumerate(layers()) for name in names}
    for package, names in imports().items():
        for name in names - {"prep"}:
            assert package == "prep" or row[package] < row[name], (package, name)


def test_the_listing_is_short():
    tasd = ROOT / "tasd"
    assert len(list(tasd.glob("*.py"))) <= 12
    assert len(list(tasd.glob("*/__init__.py"))) <= 20


SOURCES = sorted([*(ROOT / "tasd").rglob("*.py"), *(ROOT / "prep").rglob("*.py")])
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_begins_with_a_noun_phrase_or_a_verb(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if text is not None:
            first = text.partition("\n")[0]
            assert len(first.split()) > 1, f"{path}: {first!r} says nothing"
            begins = re.match(r"(What|Whether|How|Which|Where|Who|Why|When)\b", first)
            assert begins is None, f"{path}: {first!r}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_function_alone_writes_json(path: Path):
    """It writes null where a number is not finite; json.dumps would write what is no JSON."""
    if path == ROOT / "tasd" / "files.py":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "json":
            assert node.attr not in ("dump", "dumps"), f"{path}:{node.lineno}: use files.as_json"
        if isinstance(node, ast.ImportFrom) and node.module == "json":
            assert not {alias.name for alias in node.names} & {"dump", "dumps", "*"}, path


@pytest.mark.parametrize("path", sorted((ROOT / "tasd" / "cli").glob("*.py")), ids=lambda p: p.name)
def test_a_command_prints_by_the_functions_that_clean_names(path: Path):
    if path.name in ("say.py", "app.py"):  # app.py prints the version alone
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("print", "typer.echo", "click.echo"), f"{path}:{node.lineno}"
