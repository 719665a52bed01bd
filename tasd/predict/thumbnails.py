"""Small pictures of the frames that the network reads of a clip, from the same decode."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from tasd.loader.encoded import encoded
from tasd.loader.pillow import treated
from tasd.predict.clips import ClipView, ViewsOf
from tasd.store import Store

SIDE = 144  # pixels
QUALITY = 82  # of the JPEGs


@dataclass(frozen=True)
class Thumbnail:
    """A picture of one frame that the network reads: a JPEG, and its second in the clip."""

    jpeg: bytes
    second: float


# Called with the views of a clip and the thumbnails of each of them.
Taker = Callable[[tuple[ClipView, ...], list[list[Thumbnail]]], None]


def with_thumbnails(views_of: ViewsOf, take: Taker, *, crop: int, middle: bool = False) -> ViewsOf:
    """Return ``views_of``, which also hands over the thumbnails of the views.

    crop: side of the network's crop. middle: of each view only the frame in its middle.
    """

    def views(store: Store, clip: str) -> tuple[ClipView, ...]:
        found = views_of(store, clip)
        take(found, [thumbnails(store, each, crop=crop, middle=middle) for each in found])
        return found

    return views


def thumbnails(
    store: Store, view: ClipView, *, crop: int, middle: bool = False, side: int = SIDE
) -> list[Thumbnail]:
    """Return the frames of a view as the network gets them: cropped, then made smaller.

    Raises `UserError` where a stored frame does not decode.
    """
    batch = encoded(store, [view.view], size=crop)
    times = store.frame_times(view.view.video)
    start = float(times[0]) if len(times) else 0.0
    places = [batch.time // 2] if middle else range(batch.time)
    return [
        Thumbnail(
            _jpeg(Image.fromarray(treated(batch, place, size=crop)), side),
            float(times[batch.frames[place].index]) - start,
        )
        for place in places
    ]


def _jpeg(image: Image.Image, side: int) -> bytes:
    if image.width > side:
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "jpeg", quality=QUALITY)
    return written.getvalue()
