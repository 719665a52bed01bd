"""What the documents say holds: commands exist with these options, files are there."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from tasd.matchers import MATCHERS
from tasd.report.published import DATASETS, TABLE1, TITLES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "BENCHMARKS.md"]
PAGES += [ROOT / "docker" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))


def commands(page: Path) -> list[str]:
    """Lines of code blocks that call tasd or make, without comments and continuations."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    plain = [line.partition(" #")[0].strip().removeprefix("$ ") for line in lines]
    return [line for line in plain if re.match(r"(tasd|make|torchrun -m tasd|docker run)\b", line)]


CALLS = [(str(page.relative_to(ROOT)), line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), CALLS, ids=[f"{p}: {line}" for p, line in CALLS])
def test_a_documented_command_exists_with_its_options(page, line):
    words = shlex.split(line)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets
        return
    from tasd.cli import app

    words = words[words.index("tasd") + 1 :]
    command = get_command(app)
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands") or words[:1] in ([], ["--help"], ["--version"]), line
    known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= known, f"{page} uses {used - known}"


def test_the_commands_of_the_readme_are_found_at_all():
    assert len([line for page, line in CALLS if page == "README.md"]) == 5


def test_the_published_numbers_of_the_readme_are_those_of_the_code():
    """Each row of our matchers, in the order of the paper's table; the last is the method."""
    text = (ROOT / "README.md").read_text("utf-8").partition("## Published numbers")[2]
    lines = text.partition("\n## ")[0].splitlines()
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    assert header[2:] == list(TITLES.values())
    said = {}
    for method, matcher, *cells in rows:
        name = matcher.strip("`") if method != rows[-1][0] else "tasd"
        said[name] = (method.partition(" (")[0], [numbers(cell) for cell in cells])
    paper = {row.method: [row.accuracy.get(data) for data in DATASETS] for row in TABLE1}
    assert said.pop("tasd") == ("TASD", paper["TASD"])
    published = {name: m.PUBLISHED.accuracy for name, m in MATCHERS.items() if m.PUBLISHED.accuracy}
    assert set(said) == set(published)
    for name, (method, cells) in said.items():
        assert cells == paper[method] == [published[name][data] for data in DATASETS], name


def numbers(cell: str) -> tuple[float, ...]:
    """``"72.2 / 84.2"`` -> (72.2, 84.2)."""
    return tuple(float(part) for part in cell.split("/"))


def test_every_file_of_the_readmes_map_exists():
    text = (ROOT / "README.md").read_text("utf-8")
    tree = text.partition("## Where things are")[2].split("```")[1]
    names = re.findall(r"(?:^|\s)((?:tasd|prep|splits|tests|docs)/[\w./-]*)", tree)
    assert len(names) >= 15
    for name in names:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
