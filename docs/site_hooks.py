"""Hooks of MkDocs: pages from outside docs/, and a check that pages fetch nothing from other hosts.

Links are written for readers of the repository, as ``../BENCHMARKS.md``; here they become links of
the site. A link to a file that is no page of the site fails the strict build.
"""

import os
import re
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent

# Each page from outside docs/, by its place in the repository, and its place in the site.
OUTSIDE = {
    "README.md": "index.md",
    "BENCHMARKS.md": "BENCHMARKS.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "docker/README.md": "docker.md",
    "splits/README.md": "splits.md",
    "tasd/demo/clips/README.md": "demo-clips.md",
}
# Who searches for a message finds first what to do.
BOOSTS = {"troubleshooting.md": 4, "messages.md": 0.5}
LINK = re.compile(r"(\]\()([^)#\s:]+)(#[^)\s]*)?(\))")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of `OUTSIDE`."""
    for place, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn the links of a page between files of the repository into links of the site."""
    page.meta.setdefault("search", {"boost": BOOSTS.get(page.file.src_uri, 1)})
    places = {page: place for place, page in OUTSIDE.items()}
    return site_links(markdown, places.get(page.file.src_uri, f"docs/{page.file.src_uri}"))


def site_links(markdown: str, place: str) -> str:
    """Return the text of the file at ``place`` with its relative links as the site has them.

    In README.md ``docs/app.md`` -> ``app.md``; in docs/app.md ``../README.md`` -> ``index.md``.
    """
    folder = PurePosixPath(place).parent

    def replaced(link: re.Match[str]) -> str:
        before, target, anchor, after = link.groups()
        found = os.path.normpath(folder / target)
        page = OUTSIDE.get(found, found.removeprefix("docs/"))
        if page.endswith(".ipynb"):  # a page too, by docs/site_notebooks.py
            page = page.removesuffix(".ipynb") + ".md"
        return f"{before}{page}{anchor or ''}{after}"

    return LINK.sub(replaced, markdown)


def on_post_build(*, config: Any, **_: Any) -> None:
    """Fail where a page or a style sheet would fetch from another host."""
    site = Path(config.site_dir)
    wrong = [
        f"{path.relative_to(site)}: {address}"
        for path in sorted(site.rglob("*"))
        if path.suffix in (".html", ".css")
        for address in foreign(path.read_text("utf-8"), style=path.suffix == ".css")
    ]
    if wrong:
        raise PluginError("the site would fetch from other hosts:\n" + "\n".join(wrong))


def foreign(text: str, *, style: bool = False) -> list[str]:
    """Return the addresses on other hosts that a browser fetches for a page or a style sheet."""
    if style:
        return re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)", text)
    parser = _Fetched()
    parser.feed(text)
    return parser.found


class _Fetched(HTMLParser):
    """The addresses that a page makes a browser fetch: all but those of plain links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" or ("rel", "canonical") in attrs:
            return
        values = [value or "" for name, value in attrs if name in ("src", "href", "data", "poster")]
        self.found += [value for value in values if re.match(r"(https?:)?//", value)]
