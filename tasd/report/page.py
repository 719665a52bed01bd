"""One HTML file with tables and figures; it needs no other file."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasd.files import as_json
from tasd.foreign import clean, clean_lines
from tasd.report.outcome import Outcome
from tasd.report.tables import Table, html_table

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 64rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-size: .85rem; }
.wide { overflow-x: auto; margin: 0 0 2.5rem; } .caption { font-size: .85rem; margin: 0 0 .5rem; }
th, td { padding: .25rem .5rem; text-align: right; } td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1.5px solid #222; vertical-align: bottom; }
tr.ours td { font-weight: 600; }
tbody tr:nth-child(even) { background: #f5f5f5; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
figcaption, .quiet { color: #666; font-size: .85rem; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .75rem; }
"""


@dataclass(frozen=True)
class Picture:
    """The file of a figure, and its caption."""

    path: Path
    caption: str


def html_page(
    title: str,
    outcomes: Sequence[Outcome],
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    notes: Sequence[str] = (),
) -> str:
    """Return the text of the page; the pictures are part of it."""
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{html.escape(clean(title))}</title><style>{STYLE}</style></head><body>",
        f"<h1>{html.escape(clean(title))}</h1>",
        *(f"<p class=quiet>{html.escape(clean(note))}</p>" for note in notes),
        "<h2>Results</h2>",
        *(html_table(table) for table in tables),
        *(["<p>No run was tested yet; test one with tasd evaluate.</p>"] if not tables else []),
        "<h2>Figures</h2>",
        *map(_figure, pictures),
        "<h2>Provenance of the numbers</h2>",
        *map(_provenance, outcomes),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    caption = html.escape(clean(picture.caption))
    return (
        f"<figure><img alt='{caption}' src='data:image/png;base64,{data}'>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _provenance(outcome: Outcome) -> str:
    content = {} if outcome.result is None else dict(outcome.result["provenance"])
    content["config"] = outcome.config.model_dump()
    text = html.escape(clean_lines(as_json(content, indent=1)))
    return (
        f"<details><summary>{html.escape(clean(outcome.name))}</summary><pre>{text}</pre></details>"
    )
