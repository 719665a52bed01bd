"""The loader in Pillow and torch: the reference of the tests, and used where DALI is missing."""

import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tasd.errors import UserError
from tasd.loader.encoded import Decoded, EncodedBatch, EncodedFrame
from tasd.types import Normalisation

Pixels = NDArray[np.uint8]


def torch_frames(
    batches: Iterator[EncodedBatch],
    *,
    size: int,
    device: torch.device,
    threads: int,
    prefetch: int,
    normalise: Normalisation | None,
) -> Iterator[Decoded]:
    """Decode with Pillow in ``threads`` threads, ``prefetch`` batches ahead."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tasd-decode")
    pending: deque[tuple[EncodedBatch, list[Future[Pixels]]]] = deque()
    try:
        for batch in batches:
            frames = range(len(batch.frames))
            pending.append((batch, [pool.submit(treated, batch, f, size=size) for f in frames]))
            if len(pending) > prefetch:
                yield _gathered(*pending.popleft(), device=device, normalise=normalise)
        while pending:
            yield _gathered(*pending.popleft(), device=device, normalise=normalise)
    finally:  # also where the consumer stops early
        pool.shutdown(cancel_futures=True)


def treated(batch: EncodedBatch, frame: int, *, size: int) -> Pixels:
    """Decode one frame and apply its `Treatment`: crop, then colour, then flip."""
    drawn = batch.treatment
    top, left = drawn.corner[frame]
    pixels = decoded(batch.frames[frame])[top : top + size, left : left + size]
    if drawn.colour is not None:
        matrix, offset = drawn.colour[frame, :, :3], drawn.colour[frame, :, 3]
        # h, w: height and width of the crop; c: input channel; d: output channel
        changed = np.einsum("hwc,dc->hwd", pixels.astype(np.float32), matrix) + offset
        pixels = np.rint(changed).clip(0, 255).astype(np.uint8)
    return pixels[:, ::-1] if drawn.flip[frame] else pixels


def decoded(frame: EncodedFrame) -> Pixels:
    """Decode all pixels of one stored frame, RGB.

    Raises `UserError`, with video and frame, where the JPEG is broken.
    """
    try:
        with Image.open(io.BytesIO(frame.jpeg.data)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise broken(frame, "it does not decode") from error
    if pixels.shape[:2] != frame.size:
        height, width = pixels.shape[:2]
        raise broken(
            frame, f"it is {width}x{height}, the index says {frame.size[1]}x{frame.size[0]}"
        )
    return pixels


def broken(frame: EncodedFrame, problem: str) -> UserError:
    """Return the error of a stored frame that cannot be used."""
    return UserError(
        f"frame {frame.index} of video {frame.video!r} in the store is broken: {problem}; find "
        "all such videos with tasd check --deep and prepare the store again"
    )


def _gathered(
    batch: EncodedBatch,
    frames: list[Future[Pixels]],
    *,
    device: torch.device,
    normalise: Normalisation | None,
) -> Tensor:
    pixels = torch.from_numpy(np.stack([frame.result() for frame in frames])).to(device)
    if normalise is not None:
        mean, std = (255 * pixels.new_tensor(v, dtype=torch.float32) for v in astuple(normalise))
        pixels = ((pixels - mean) / std).movedim(-1, 1)
    return pixels.reshape(batch.views, batch.time, *pixels.shape[1:])
