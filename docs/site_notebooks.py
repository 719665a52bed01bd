"""Hook of MkDocs: each notebook of docs/ becomes a page, with its outputs as they are committed.

Text stays Markdown, so that links, search and style are those of the other pages. Nothing is
executed here; tests/notebooks.py does that.
"""

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

DOCS = Path(__file__).parent
PICTURES = {"image/png": "png", "image/jpeg": "jpg"}


@dataclass
class Page:
    """A page in Markdown and its pictures, by file name."""

    name: str
    parts: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

    @property
    def markdown(self) -> str:
        """The whole page."""
        return "\n\n".join(self.parts) + "\n"

    def add_cell(self, cell: dict[str, Any]) -> None:
        """Add the source of a cell, then its outputs."""
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            self.parts.append(source)
            return
        language = "python"
        if source.startswith("%%bash\n"):
            language, source = "sh", source.partition("\n")[2]
        self.parts.append(fenced(source, language))
        for output in cell["outputs"]:
            self._add_output(output, alt=cell["metadata"].get("alt", ""))

    def _add_output(self, output: dict[str, Any], *, alt: str) -> None:
        if output["output_type"] == "stream":
            self._add_text("".join(output["text"]))
            return
        data = {kind: "".join(content) for kind, content in output["data"].items()}
        if kind := next((kind for kind in PICTURES if kind in data), ""):
            name = f"{self.name}-{len(self.pictures) + 1}.{PICTURES[kind]}"
            self.pictures[name] = base64.b64decode(data[kind])
            self.parts.append(f"![{alt}]({name})")
        elif "text/html" in data:
            self.parts.append(plain_table(data["text/html"]))
        else:
            self._add_text(data["text/plain"])

    def _add_text(self, text: str) -> None:
        text = text.strip("\n")
        self.parts.append(f'<div class="output" markdown="1">\n\n{fenced(text, "text")}\n\n</div>')


def as_page(notebook: dict[str, Any], name: str) -> Page:
    """Return the page of a notebook, which offers the notebook itself below the title."""
    page = Page(name)
    for cell in notebook["cells"]:
        page.add_cell(cell)
        if len(page.parts) == 1:
            file = f"{name}.ipynb"
            page.parts.append(
                f'This page is a notebook with its outputs: <a href="{file}" download>{file}</a>.'
            )
    return page


def fenced(text: str, language: str) -> str:
    """Return a block of code; its fence is longer than any in the text."""
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in re.findall("`{3,}", text))])
    return f"{fence}{language}\n{text}\n{fence}"


def plain_table(html: str) -> str:
    """Return a table of pandas without its own style, so that it looks like those of the site."""
    html = re.sub(r"<style.*?</style>\s*", "", html, flags=re.DOTALL)
    html = re.sub(r"<(table|tr)\b[^>]*>", r"<\1>", html)
    return re.sub(r"\n\s*\n", "\n", html)


def on_files(files: Any, config: Any) -> Any:
    """Hook of MkDocs: add a page and its pictures for each notebook."""
    for path in sorted(DOCS.glob("*.ipynb")):
        page = as_page(json.loads(path.read_text("utf-8")), path.stem)
        files.append(File.generated(config, f"{page.name}.md", content=page.markdown))
        for name, content in page.pictures.items():
            files.append(File.generated(config, name, content=content))
    return files
