"""The page of errors quotes messages that the code has, and each entry leads on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
ENTRIES = [
    (entry.partition("\n")[0], entry)
    for entry in re.split(r"^### ", re.sub(r"^## .*", "", PAGE, flags=re.M), flags=re.M)[1:]
]
QUOTED = [
    (title, block.strip())
    for title, entry in ENTRIES
    for block in re.findall(r"```text\n(.*?)```", entry, re.DOTALL)
]


def messages() -> Iterator[str]:
    """The text of every error that the code raises for a person, with ``\\0`` for its values."""
    for path in [*(ROOT / "tasd").rglob("*.py"), *(ROOT / "prep").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error"):
                yield "".join(text(each) for each in node.args)


def text(node: ast.expr) -> str:
    """``f"no {a}" + "b"`` -> ``"no \\0b"``."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text(each) for each in node.values)
    if isinstance(node, ast.BinOp):
        return text(node.left) + text(node.right)
    return "\0"


def says(message: str, quoted: str) -> bool:
    """True where a message has the parts of a quotation, told apart by ``...``, in their order."""
    parts = [re.escape(part.strip()) for part in quoted.split("...") if part.strip(" ;,:()")]
    return re.search(".*".join(parts), message, re.DOTALL) is not None


ALL = tuple(messages())


@pytest.mark.parametrize(("title", "quoted"), QUOTED, ids=[title for title, _ in QUOTED])
def test_a_quoted_message_is_one_of_the_code(title, quoted):
    assert any(says(message, quoted) for message in ALL)


def test_another_message_is_not_found():
    assert not any(says(message, "there is no shop in ...; prepare one") for message in ALL)


@pytest.mark.parametrize(("title", "entry"), ENTRIES, ids=[title for title, _ in ENTRIES])
def test_an_entry_links_to_the_section_that_explains_it(title, entry):
    assert re.search(r"\]\([\w./-]+\.md(#[\w-]+)?\)", entry)
    assert "```text" in entry or "No error" in entry or "torch says" in entry


def test_there_are_entries_at_all():
    assert len(ENTRIES) > 40
    assert len(QUOTED) > 35
