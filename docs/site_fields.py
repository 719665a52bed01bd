"""Docstrings for the site: ``name: meaning`` lines become lists; so do fields of settings."""

import ast
import re
from typing import Any

from griffe import Class, Extension, Object

FIELD = re.compile(r"([a-zA-Z_]\w*(?:, [a-zA-Z_]\w*)*): (.*)")
# A field may begin in the middle of a paragraph: "... without training. matcher: by default bimhm."
INNER = re.compile(r"(?<=\.) (?=[a-z_]\w*: )")
# So may a list of fields: "After `fit`: classes_: the classes, sorted. support_: the clips ...".
BEFORE = re.compile(r"([A-Z][^:\n]*:)\s+(?=[a-z_]\w*: )")
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class Fields(Extension):
    """Rewrite the docstring of every object that is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of an object where it has one."""
        if not obj.docstring:
            return
        obj.docstring.value = as_markdown(obj.docstring.value)
        if isinstance(obj, Class) and obj.module.path == "tasd.config":
            obj.docstring.value += "\n\n" + "\n".join(_settings(obj))


def as_markdown(docstring: str) -> str:
    """Return a docstring as Markdown: paragraphs that begin with ``name: `` as lists."""
    paragraphs = re.split(r"\n\s*\n", docstring)
    return "\n\n".join([paragraphs[0], *map(_paragraph, paragraphs[1:])])


def _paragraph(text: str) -> str:
    """A paragraph, or the list that it stands for."""
    if FIELD.match(text):
        return _fields(text)
    found = BEFORE.match(text)
    if found:
        return f"{found[1]}\n\n{_fields(text[found.end() :])}"
    return text


def _fields(paragraph: str) -> str:
    """``name: meaning`` lines with their continuations, as a list of Markdown."""
    items: list[str] = []
    text = re.sub(r"\n(?! |[a-zA-Z_][\w, ]*: )", " ", paragraph)
    for line in text.splitlines():
        for part in INNER.split(line.strip()):
            found = FIELD.fullmatch(part)
            if found:
                items.append(f"- **{found[1]}**: {found[2]}")
            else:
                items[-1] += f" {part}"
    return "\n".join(items)


def _settings(cls: Class) -> list[str]:
    """The fields of a class of options, as a list: name, type, default, meaning."""
    return [
        f"- **{name}** `{field.annotation}`, default {_default(str(field.value))}"
        for name, field in cls.attributes.items()
        if field.annotation is not None and field.value is not None and name[0] != "_"
    ]


def _default(source: str) -> str:
    """``Field(8, ge=1, description="heads")`` -> `` `8`, ge 1: heads``."""
    value = ast.parse(source, mode="eval").body
    if not isinstance(value, ast.Call) or ast.unparse(value.func) != "Field":
        return f"`{source}`"
    parts = {str(each.arg): ast.unparse(each.value) for each in value.keywords}
    meaning = ast.literal_eval(parts.pop("description", "''"))
    limits = "".join(f", {LIMITS[name]} {limit}" for name, limit in parts.items() if name in LIMITS)
    return f"`{ast.unparse(value.args[0])}`{limits}{': ' if meaning else ''}{meaning}"
