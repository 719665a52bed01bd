"""Docstrings for the site: ``name: meaning`` lines of a docstring become a list."""

import re
from typing import Any

from griffe import Extension, Object

FIELD = re.compile(r"([a-zA-Z_]\w*(?:, [a-zA-Z_]\w*)*): (.*)")
# A field may begin in the middle of a paragraph: "... without training. matcher: by default bimhm."
INNER = re.compile(r"(?<=\.) (?=[a-z_]\w*: )")


class Fields(Extension):
    """Rewrite the docstring of every object that is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of an object where it has one."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """Return a docstring as Markdown: paragraphs that begin with ``name: `` as lists."""
    paragraphs = re.split(r"\n\s*\n", docstring)
    return "\n\n".join(
        _fields(each) if FIELD.match(each) and number else each
        for number, each in enumerate(paragraphs)
    )


def _fields(paragraph: str) -> str:
    """``name: meaning`` lines with their continuations, as a list of Markdown."""
    items: list[str] = []
    for line in paragraph.splitlines():
        for part in INNER.split(line.strip()):
            found = FIELD.fullmatch(part)
            if found:
                items.append(f"- **{found[1]}**: {found[2]}")
            else:
                items[-1] += f" {part}"
    return "\n".join(items)
