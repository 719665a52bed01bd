"""Figures that are drawn as files, and their copies within the page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasd.report.markup import escaped, paragraph, scrolled


@dataclass(frozen=True)
class Picture:
    """The file of a figure, and its caption. on_page: False where the page draws its own."""

    path: Path
    caption: str
    on_page: bool = True


def figures(pictures: Sequence[Picture], *, room: int) -> str:
    """Return the figures as HTML, as many as have room, in characters; the others by name."""
    parts, left = [], room
    for picture in pictures:
        if not picture.on_page:
            continue
        address = "data:image/png;base64," + base64.b64encode(picture.path.read_bytes()).decode()
        if len(address) > left:
            parts.append(
                paragraph(f"{picture.caption}: see {picture.path.name}, beside this page.")
            )
            continue
        left -= len(address)
        caption = escaped(picture.caption)
        image = f"<img alt='{caption}' src='{address}'>"
        figure = f"<figure>{image}</figure>"
        parts.append(f"<p class=caption>{caption}</p>" + scrolled(figure, label=picture.caption))
    return "".join(parts)
