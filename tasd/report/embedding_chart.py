"""The drawing of embeddings: points by class, a frame of the one that is pointed at."""

import numpy as np

from tasd.report.embedding import Embedding
from tasd.report.frames import Thumbnail, Thumbnails
from tasd.report.markup import colour, escaped, paragraph, shape, short, swatch

SIDE, EDGE, PANEL = 400, 12, 84  # of the plot, its margin, and the strip above it, in units
THUMBNAIL = 64  # pixels
HINT = "the video that you point at"
CAPTION = (
    "A point is a test video: the mean of its features over time, as the chosen network made them. "
    "Point at one, or walk with the arrow keys, for its name and a frame. A class below fades the "
    "others."
)


def embedding_chart(found: Embedding, thumbnails: Thumbnails, *, name: str, key: str) -> str:
    """Draw the points of the run ``name`` as HTML with inline SVG. key: unique on the page."""
    tips = {
        place: thumbnails.strip(found.videos[place], count=1, height=THUMBNAIL)
        for place in _in_turns(found)
    }
    some = f" {len(found.videos):,} of {found.out_of:,} videos are drawn."
    caption = f"{CAPTION} {found.note}" + (some if len(found.videos) < found.out_of else "")
    points = "".join(_point(found, place, tips[place]) for place in range(len(found.videos)))
    label = escaped(f"{found.method} of the test videos of {name}")
    return (
        f"<h4>{found.method}</h4>{paragraph(caption, kind='caption')}"
        f"<div class=plot id={key}><svg viewBox='0 0 {SIDE} {SIDE + PANEL}' tabindex=0 role=group "
        f"aria-label='{label}'><rect class=area y={PANEL} width={SIDE} height={SIDE} />"
        f"<text class='quiet hint' y=30>{HINT}</text>{points}</svg>"
        f"<p class=said aria-live=polite></p>{_legend(found, key)}</div>"
    )


def _in_turns(found: Embedding) -> list[int]:
    """Return the places of the videos with the classes taking turns.

    Where the room for frames ends, each class has as many.
    """
    seen = [0] * len(found.classes)
    turns = []
    for own in found.label:
        turns.append(seen[own])
        seen[own] += 1
    return [int(place) for place in np.argsort(turns, kind="stable")]


def _point(found: Embedding, place: int, tip: Thumbnail | None) -> str:
    own = int(found.label[place])
    x = EDGE + float(found.places[place, 0]) * (SIDE - 2 * EDGE)
    y = PANEL + EDGE + (1 - float(found.places[place, 1])) * (SIDE - 2 * EDGE)
    class_name, video = found.classes[own], found.videos[place]
    own_name = video.removeprefix(f"{class_name}/")
    picture, left = "", 0
    if tip is not None:
        left = tip.width + 8
        size = f"width={tip.width} height={tip.height}"
        picture = f"<image href='{tip.address}' y=8 {size} />"
    return (
        f"<g class='pt c{own}' data-x={x:.0f} data-y={y:.0f}>"
        f"<use href='#{shape(own)}' class={colour(own)} x={x:.1f} y={y:.1f}>"
        f"<title>{escaped(short(class_name, 60))}: {escaped(short(own_name, 80))}</title></use>"
        f"<g class=tip>{picture}<text x={left} y=30>{escaped(short(class_name, 34))}</text>"
        f"<text x={left} y=48 class=quiet>{escaped(short(own_name, 40))}</text></g></g>"
    )


def _legend(found: Embedding, key: str) -> str:
    """Return a radio button for each class; the style sheet fades the others without a script."""
    rules = "".join(
        f"#{key}:has(.r{n}:checked) .pt:not(.c{n})>use{{opacity:.07}}"
        for n in range(len(found.classes))
    )
    items = "".join(
        f"<label><input type=radio name={key} class=r{n}>{swatch(n)}{escaped(one)}</label>"
        for n, one in enumerate(found.classes)
    )
    every = f"<label><input type=radio name={key} checked>all classes</label>"
    legend = "<legend>class</legend>"
    return f"<style>{rules}</style><fieldset>{legend}{every}{items}</fieldset>"
