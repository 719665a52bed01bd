"""Batches before decoding: the JPEGs of the store and the treatment of each frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from torch import Tensor

from tasd.episodes import View
from tasd.errors import UserError
from tasd.loader.augment import Treatment, treatment
from tasd.store import Store, Video

# A decoded batch: pixels, or normalised pixels.
Decoded = UInt8[Tensor, "views time size size 3"] | Float32[Tensor, "views time 3 size size"]


@dataclass(frozen=True)
class EncodedFrame:
    """One JPEG, with video and frame index for the message when it does not decode.

    size: height and width according to the store.
    """

    jpeg: NDArray[np.uint8]
    video: str
    index: int
    size: tuple[int, int]


@dataclass(frozen=True)
class EncodedBatch:
    """The input of a decoder for one batch; ``frames`` are in the order of the views."""

    views: int
    time: int
    frames: tuple[EncodedFrame, ...]
    treatment: Treatment


def encoded(store: Store, views: Sequence[View], *, size: int) -> EncodedBatch:
    """Look up the frames of ``views``; the JPEGs are not copied. Raises `UserError`."""
    assert views, "a batch has at least one view"
    time = len(views[0].positions)
    assert all(len(view.positions) == time for view in views), "views of unequal length"
    videos = [_video(store, view) for view in views]
    frames = [
        EncodedFrame(jpeg, view.video, index, video.size)
        for view, video in zip(views, videos, strict=True)
        for index, jpeg in _jpegs(store, view, video)
    ]
    drawn = treatment(views, [video.size for video in videos], size=size, time=time)
    return EncodedBatch(len(views), time, tuple(frames), drawn)


def _video(store: Store, view: View) -> Video:
    if view.video not in store.videos:
        store.jpegs(view.video, [])  # raises a UserError that says why
    return store.videos[view.video]


def _jpegs(store: Store, view: View, video: Video) -> list[tuple[int, NDArray[np.uint8]]]:
    indices = view.frames(video.frames)
    return list(zip(indices, store.jpegs(view.video, indices), strict=True))


def misfits(store: Store, *, frames: int, size: int) -> list[str]:
    """Return a sentence for each way in which frames are read that a person may not expect.

    A video with fewer frames than are asked for repeats some. A crop of half the side or less
    sees a quarter of the picture: a network for small pictures wants small frames in the store.
    """
    found, videos = [], list(store.videos.values())
    short = [video.frames for video in videos if video.frames < frames]
    if short:
        found.append(
            f"{len(short):,} of {len(videos):,} videos of {store.path} hold fewer frames than "
            f"data.frames = {frames} (the shortest {min(short)}), and some are repeated; prepare "
            f"the store with tasd prep --frames {frames} or more, where the videos have them"
        )
    sides = [min(video.size) for video in videos]
    if sides and min(sides) >= 2 * size:
        found.append(
            f"a crop of {size} pixels sees a quarter or less of frames stored at {min(sides)}; the "
            f"whole picture is in a store of tasd prep --size {size}"
        )
    return found


def check_crop(store: Store, size: int, *, option: str = "--crop") -> None:
    """Raise `UserError` where a stored video is smaller than the crop that ``option`` gives."""
    for name, video in store.videos.items():
        if min(video.size) < size:
            height, width = video.size
            raise UserError(
                f"a crop of {size} pixels does not fit video {name!r} of {store.path}, stored "
                f"at {width}x{height}; give {option} {min(video.size)} or less, or prepare the "
                "store with larger frames"
            )
