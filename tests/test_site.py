"""The site of the documents: links between files become links of pages; nothing is fetched."""

import importlib.util
import pkgutil
import re
import types
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def loaded(name, needs):
    """A module beside the documents, which is in no package."""
    pytest.importorskip(needs, reason="the extra docs is not installed")
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hooks():
    return loaded("site_hooks", "mkdocs")


@pytest.fixture
def as_markdown():
    return loaded("site_fields", "griffe").as_markdown


@pytest.mark.parametrize(
    ("place", "link", "expected"),
    [
        ("README.md", "docs/app.md", "app.md"),
        ("README.md", "tasd/demo/clips/README.md", "demo-clips.md"),
        ("README.md", "docs/demo.png", "demo.png"),
        ("docs/app.md", "../BENCHMARKS.md#prep", "BENCHMARKS.md#prep"),
        ("docs/app.md", "predict.md#support-files", "predict.md#support-files"),
        ("docs/app.md", "../splits/README.md", "splits.md"),
        ("docs/app.md", "tutorial.ipynb", "tutorial.md"),
        ("README.md", "docs/tutorial.ipynb#a-training", "tutorial.md#a-training"),
        ("docker/README.md", "../docs/clusters.md", "clusters.md"),
        ("docs/app.md", "#kept", "#kept"),
        ("docs/app.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("docs/app.md", "../tasd/types.py", "tasd/types.py"),  # no page: the strict build fails
    ],
)
def test_links_of_the_repository_become_links_of_the_site(hooks, place, link, expected):
    assert hooks.site_links(f"see [it]({link}).", place) == f"see [it]({expected})."


def test_every_page_from_outside_is_there(hooks):
    assert all((DOCS.parent / place).is_file() for place in hooks.OUTSIDE)


def test_addresses_that_a_browser_fetches_from_other_hosts_are_found(hooks):
    page = (
        '<link rel="stylesheet" href="https://a.org/x.css"><script src="//b.org/x.js"></script>'
        '<img src="demo.png"><a href="https://c.org">a link</a><img src="http://d.org/x.png">'
        '<link rel="canonical" href="https://e.org/">'
    )
    found = ["https://a.org/x.css", "//b.org/x.js", "http://d.org/x.png"]
    assert hooks.foreign(page) == found
    style = "@import 'https://a.org/x.css'; b{background:url(//b.org/x.png)} i{x:url(x.svg)}"
    assert hooks.foreign(style, style=True) == ["https://a.org/x.css", "//b.org/x.png"]


def test_a_site_that_would_fetch_fails(hooks, tmp_path):
    from types import SimpleNamespace

    from mkdocs.exceptions import PluginError

    config = SimpleNamespace(site_dir=str(tmp_path))
    (tmp_path / "index.html").write_text("<img src='demo.png'>")
    hooks.on_post_build(config=config)
    (tmp_path / "index.html").write_text("<img src='https://a.org/demo.png'>")
    with pytest.raises(PluginError, match=r"index.html: https://a.org/demo.png"):
        hooks.on_post_build(config=config)


def test_fields_of_a_docstring_become_a_list(as_markdown):
    text = (
        "A view.\n\nway, shot: numbers,\n    in this order. size: in pixels.\n\nNote: not a field."
    )
    assert as_markdown(text).split("\n\n")[1] == (
        "- **way, shot**: numbers, in this order.\n- **size**: in pixels."
    )
    text = "A view.\n\nAfter `fit`: a_: the\nfirst. b_: the second."
    assert (
        as_markdown(text)
        == "A view.\n\nAfter `fit`:\n\n- **a_**: the first.\n- **b_**: the second."
    )
    assert as_markdown("Raise `UserError` for a: b.") == "Raise `UserError` for a: b."


def test_settings_are_listed_with_their_defaults():
    default = loaded("site_fields", "griffe")._default
    assert default("Field(224, ge=32, description='side of the crop')") == (
        "`224`, at least 32: side of the crop"
    )
    assert default("'bimhm'") == "`'bimhm'`"


def test_a_notebook_becomes_a_page_with_its_outputs():
    module = loaded("site_notebooks", "mkdocs")
    table = (
        '<div>\n<style scoped>\n td {}\n</style>\n<table border="1" class="dataframe">\n</table>'
    )
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "```\n"]},
        {"output_type": "display_data", "data": {"image/png": "AAEC", "text/plain": ["<Figure>"]}},
        {"output_type": "execute_result", "data": {"text/html": [table], "text/plain": ["t"]}},
        {"output_type": "execute_result", "data": {"text/plain": ["3"]}},
    ]
    code = {"cell_type": "code", "metadata": {"alt": "A chart"}}
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        code | {"source": ["1 + 2"], "outputs": outputs},
        code | {"source": ["%%bash\n", "tasd show RUN"], "outputs": []},
    ]
    page = module.as_page({"cells": cells}, "small")
    assert page.pictures == {"small-1.png": b"\x00\x01\x02"}
    assert page.parts[0] == "# Title\ntext"
    assert '<a href="small.ipynb" download>' in page.parts[1]
    assert page.parts[2] == "```python\n1 + 2\n```"
    assert "````text\na\n```\n````" in page.parts[3]
    assert page.parts[4] == "![A chart](small-1.png)"
    assert page.parts[5] == "<div>\n<table>\n</table>"
    assert "```text\n3\n```" in page.parts[6]
    assert page.parts[7] == "```sh\ntasd show RUN\n```"


def test_the_site_is_built_strictly():
    """With --quiet the warnings would not reach --strict, and a broken link would pass."""
    (line,) = re.findall(r"mkdocs build.*", (DOCS.parent / "Makefile").read_text("utf-8"))
    assert line == "mkdocs build --strict"
    assert "make docs\n" in (DOCS.parent / ".ci" / "run").read_text("utf-8")


def listed() -> list[tuple[str, str]]:
    """The names that API pages list by hand, with their modules."""
    found = []
    for page in sorted(DOCS.glob("api-*.md")):
        for module, options in re.findall(r"^::: (\S+)\n((?:    .*\n?)*)", page.read_text(), re.M):
            members = re.search(r"members: \[(.*?)\]", options, re.S)
            names = re.split(r",\s*", members[1].strip()) if members else []
            found += [(module, name) for name in names]
    return found


@pytest.mark.parametrize(("module", "name"), listed())
def test_a_name_that_an_api_page_lists_is_there(module, name):
    """A page without it would be built in silence."""
    owner = pkgutil.resolve_name(module)
    if isinstance(owner, types.ModuleType):
        assert owner.__dict__[name].__module__.startswith(module)
    else:
        assert hasattr(owner, name)
