"""Small JPEGs of stored frames, as parts of the page, up to a number of bytes."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tasd.episodes import evaluation_view
from tasd.errors import UserError
from tasd.home import home
from tasd.loader.encoded import EncodedFrame
from tasd.loader.pillow import decoded
from tasd.store import MANIFEST, Store

QUALITY = 62


@dataclass(frozen=True)
class Thumbnail:
    """A picture as a data address. width, height: in pixels."""

    address: str
    width: int
    height: int


class Thumbnails:
    """Thumbnails of the videos of a store, as long as there is room for their characters.

    store: None where the frames are not there; then there are no thumbnails.
    left: the characters that may still be used.
    """

    def __init__(self, store: Store | None, *, room: int) -> None:
        self.store, self.left = store, room
        self._made: dict[tuple[str, int, int], Thumbnail] = {}

    def strip(self, video: str, *, count: int, height: int) -> Thumbnail | None:
        """Return ``count`` frames of a video side by side, each ``height`` pixels high.

        None where there are no frames, one of them is broken, or the room is used up. A strip that
        was made before is the same one and takes no room.
        """
        key = (video, count, height)
        if key in self._made:
            return self._made[key]
        if self.store is None or self.left <= 0 or video not in self.store.videos:
            return None
        try:
            made = _strip(self.store, video, count=count, height=height)
        except UserError:  # a broken JPEG costs its own picture
            return None
        self.left -= len(made.address)
        if self.left < 0:
            return None
        self._made[key] = made
        return made


def _strip(store: Store, video: str, *, count: int, height: int) -> Thumbnail:
    entry = store.videos[video]
    indices = evaluation_view(video, count).frames(entry.frames)
    pictures = []
    for index, jpeg in zip(indices, store.jpegs(video, indices), strict=True):
        whole = Image.fromarray(decoded(EncodedFrame(jpeg, video, index, entry.size)))
        width = min(2 * height, max(1, round(whole.width * height / whole.height)))
        pictures.append(np.asarray(whole.resize((width, height), Image.Resampling.LANCZOS)))
    joined = Image.fromarray(np.concatenate(pictures, axis=1))
    file = io.BytesIO()
    joined.save(file, "JPEG", quality=QUALITY, optimize=True)
    address = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Thumbnail(address, joined.width, joined.height)


def find_frames(videos: Sequence[str], hash: object, given: Store | None) -> Store:
    """Return the store that holds the frames of ``videos``.

    hash: of the store that they may come from. given: the store that a person named.

    Without it: the store below $TASD_HOME with this hash, else the only one that holds all of the
    videos. Raises `UserError` where there is none.
    """
    if given is not None:
        if not any(video in given.videos for video in videos):
            raise UserError(f"--store {given.path} holds none of the videos under test")
        return given
    there = sorted((home() / "stores").glob(f"*/{MANIFEST}"))
    opened = [store for path in there if (store := _opened(path.parent)) is not None]
    for store in opened:
        if store.hash == hash:
            return store
    whole = [store for store in opened if all(video in store.videos for video in videos)]
    if len(whole) != 1:
        raise UserError("the frames are in no store here; name their store with --store")
    return whole[0]


def _opened(path: Path) -> Store | None:
    try:
        return Store(path)
    except UserError:
        return None
