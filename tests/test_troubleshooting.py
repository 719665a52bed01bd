"""The page of errors quotes messages that the code has, and each entry leads on."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
spec = importlib.util.spec_from_file_location("site_messages", DOCS / "site_messages.py")
site_messages = sys.modules["site_messages"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site_messages)

PAGE = (DOCS / "troubleshooting.md").read_text("utf-8")
ENTRIES = [
    (entry.partition("\n")[0], entry)
    for entry in re.split(r"^### ", re.sub(r"^## .*", "", PAGE, flags=re.M), flags=re.M)[1:]
]
QUOTED = [
    (title, block.strip())
    for title, entry in ENTRIES
    for block in re.findall(r"```text\n(.*?)```", entry, re.DOTALL)
]
MESSAGES = [message.text for message in site_messages.messages()]


def says(message, quoted):
    """True where a message has the parts of a quotation, told apart by ``...``, in their order."""
    parts = [re.escape(part.strip()) for part in quoted.split("...") if part.strip(" ;,:()")]
    return re.search(".*".join(parts), message, re.DOTALL) is not None


@pytest.mark.parametrize(("title", "quoted"), QUOTED, ids=[title for title, _ in QUOTED])
def test_a_quoted_message_is_one_of_the_code(title, quoted):
    assert any(says(message, quoted) for message in MESSAGES)


def test_another_message_is_not_found():
    assert not any(says(message, "there is no shop in ...; prepare one") for message in MESSAGES)


@pytest.mark.parametrize(("title", "entry"), ENTRIES, ids=[title for title, _ in ENTRIES])
def test_an_entry_links_to_the_section_that_explains_it(title, entry):
    assert re.search(r"\]\([\w./-]+\.md(#[\w-]+)?\)", entry)
    assert "```text" in entry or "No error" in entry or "torch says" in entry


def test_there_are_entries_at_all():
    assert len(ENTRIES) > 40
    assert len(QUOTED) > 35


def test_the_page_of_all_messages_has_each_below_a_link_to_its_section():
    parts = re.split(r"^## ", site_messages.page(), flags=re.M)[1:]
    assert all("\nExplained in [this section](" in part for part in parts)
    listed = {line[5:-3] for part in parts for line in part.splitlines() if line[:2] == "- "}
    assert listed == {text for text in MESSAGES if text.strip(". ")}
    assert len(listed) > 250


def test_messages_of_a_module_have_the_nearest_section():
    assert site_messages.section("tasd.predict.export")[1] == "predict.md#take-it-along"
    assert site_messages.section("tasd.predict.cache")[1] == "predict.md#in-python"
    assert site_messages.section("tasd.predict.support_filed")[1] == "predict.md#in-python"
    assert site_messages.section("tasd.somewhere.new")[1] == "troubleshooting.md"
