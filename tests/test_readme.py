"""What the documents say holds: commands exist with these options, files are there."""

import json
import re
import shlex
import subprocess
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tasd.cli.app import app
from tasd.matchers import DESCRIBED
from tasd.report.outcome import NAMES
from tasd.report.published import DATASETS, LATER, TABLE1, TITLES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "BENCHMARKS.md"]
PAGES += [ROOT / "docker" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "docs").glob("*.ipynb"))


SHELL = "sh|bash|console"
PROGRAMS = re.compile(r"(tasd|make|torchrun|srun|dask|docker run)\b")


def blocks(page: Path, languages: str) -> list[str]:
    """The code blocks of these languages, which are told apart by ``|``."""
    return re.findall(rf"```(?:{languages})\n(.*?)```", prose(page), re.DOTALL)


def prose(page: Path) -> str:
    """The text of a page; of a notebook without its code, which other tests execute."""
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def commands(page: Path) -> list[str]:
    """Lines of code blocks that call `PROGRAMS`, without comments and continuations."""
    lines = "\n".join(blocks(page, SHELL)).replace("\\\n", " ").splitlines()
    plain = [line.partition(" #")[0].strip().removeprefix("$ ") for line in lines]
    return [line for line in plain if PROGRAMS.match(line)]


def used(words: list[str]) -> set[str]:
    """The long options among the words of a command."""
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def known(command: Any) -> set[str]:
    """The options of a command of click."""
    every = (name for each in command.params for name in [*each.opts, *each.secondary_opts])
    return {*every, "--help"}


CALLS = [(str(page.relative_to(ROOT)), line) for page in PAGES for line in commands(page)]
SCRIPTS = [
    pytest.param(block, id=f"{page.name} {number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, SHELL))
]


@pytest.mark.parametrize(("page", "line"), CALLS, ids=[f"{p}: {line}" for p, line in CALLS])
def test_a_documented_command_exists_with_its_options(page, line):
    words = shlex.split(line)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets
        return
    if words[0] == "dask":
        pytest.importorskip("distributed")
        (program,) = entry_points(group="dask_cli", name=words[1])
        assert used(words) <= known(program.load()), line
        return
    words = words[handed_to_tasd(words) :]
    command = get_command(app)
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands") or words[:1] in ([], ["--help"], ["--version"]), line
    assert used(words) <= known(command), f"{page} uses {used(words) - known(command)}"


def handed_to_tasd(words: list[str]) -> int:
    """Where the words for tasd begin; those for torchrun before them are looked at."""
    if "torchrun" not in words:
        return words.index("tasd") + 1
    from torch.distributed.run import get_args_parser

    module = words.index("-m")
    assert words[module + 1] == "tasd"
    # In a container the words for torchrun begin behind the name of the image.
    own = words[words.index("tasd" if words[0] == "docker" else "torchrun") + 1 : module]
    known_to_torchrun = {
        name for each in get_args_parser()._actions for name in each.option_strings
    }
    assert used(own) <= known_to_torchrun
    return module + 2


def test_a_command_under_torchrun_is_looked_at():
    line = "srun torchrun --nnodes 2 -m tasd train --way 5"
    assert PROGRAMS.match(line)
    test_a_documented_command_exists_with_its_options("", line)
    for wrong in (line.replace("--nnodes", "--knots"), line.replace("--way", "--weigh")):
        with pytest.raises(AssertionError):
            test_a_documented_command_exists_with_its_options("", wrong)


@pytest.mark.parametrize("block", SCRIPTS)
def test_a_documented_script_is_one_that_bash_can_read(block):
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
    assert not done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_python_can_be_read(page):
    for block in blocks(page, "python"):
        compile(block, page.name, "exec")


def test_the_commands_of_a_page_are_found_at_all():
    assert "docs/research.ipynb" in {page for page, _ in CALLS}
    assert len([line for page, line in CALLS if page == "README.md"]) == 6


def test_the_published_numbers_of_the_readme_are_those_of_the_code():
    """Each row of our matchers; the method itself is called TASD."""
    text = (ROOT / "README.md").read_text("utf-8").partition("## Published numbers")[2]
    lines = text.partition("\n## ")[0].splitlines()
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    assert header[2:] == list(TITLES.values())
    said = {}
    for method, matcher, *cells in rows:
        name = "tasd" if method.startswith("TASD") else matcher.strip("`")
        said[name] = (method.partition(" (")[0], [numbers(cell) for cell in cells])
    rows = (*TABLE1, *LATER)
    paper = {row.method: [row.accuracy.get(data) for data in DATASETS] for row in rows}
    assert said.pop("tasd") == ("TASD", paper["TASD"])
    published = {name: of.accuracy for name, of in DESCRIBED.items() if of.accuracy}
    later = {name for name in published if NAMES[name] in {row.method for row in LATER}}
    assert set(published) - later <= set(said) <= set(published)
    for name, (method, cells) in said.items():
        assert cells == paper[method] == [published[name].get(data) for data in DATASETS], name


def numbers(cell: str) -> tuple[float | None, ...] | None:
    """``"72.2 / 84.2"`` -> (72.2, 84.2); a dash is None."""
    if cell.strip() == "-":
        return None
    return tuple(None if part.strip() == "-" else float(part) for part in cell.split("/"))


def test_every_file_of_the_readmes_map_exists():
    text = (ROOT / "README.md").read_text("utf-8")
    tree = text.partition("## Where things are")[2].split("```")[1]
    names = re.findall(r"(?:^|\s)((?:tasd|prep|splits|tests|docs)/[\w./-]*)", tree)
    assert len(names) >= 15
    for name in names:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", prose(page)):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """The names that links to the headings of a page have: ``## A store's frames`` ->
    ``a-stores-frames``.
    """
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_a_heading_find_it(page):
    for target, name in re.findall(r"\]\((?!http)([^)#]*)#([^)\s]+)", page.read_text("utf-8")):
        other = page.parent / target if target else page
        if "api" not in other.name:  # its headings are those of docstrings
            assert name in anchors(other), f"{page.name} links to {target}#{name}"
