"""The loader in NVIDIA DALI, with one pipeline for CPU and GPU. A CPU decodes only the crop.

DALI is imported where a pipeline is built, so that this file can be imported without it.
It draws nothing at random: crop, colour and flip come with each batch as argument inputs.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from tasd.loader.encoded import Decoded, EncodedBatch
from tasd.loader.pillow import broken, decoded
from tasd.store.jpeg import fault
from tasd.types import Normalisation

ONE_THREAD = 32_768  # elements up to which torch works in one thread
MOST_FRAMES = 4096  # per batch in one pipeline; larger batches get their own pipeline


def dali_frames(
    batches: Iterator[EncodedBatch],
    *,
    size: int,
    device: torch.device,
    threads: int,
    prefetch: int,
    normalise: Normalisation | None,
) -> Iterator[Decoded]:
    """Decode with DALI, on the GPU where ``device`` is one, ``prefetch`` batches ahead."""
    flips = device.type == "cuda" or normalise is not None  # by DALI, not by torch
    # The colour operator is built only where it is needed: on a CPU it takes longer than decoding.
    for (colour, size_class), alike in itertools.groupby(batches, key=_pipeline_key):
        pending: deque[EncodedBatch] = deque()  # passed to DALI, not out yet: keeps the JPEGs alive
        pipeline = _pipeline(
            _inputs(alike, pending, flips=flips),
            colour=colour,
            flips=flips,
            most=(size_class + 1) * MOST_FRAMES,
            size=size,
            device=device,
            threads=threads,
            prefetch=prefetch,
            normalise=normalise,
        )
        copies = _Copies()
        while (frames := _next(pipeline, pending)) is not None:
            batch = pending.popleft()
            frames = copies.of(frames) if frames.is_cuda else frames.to(device)
            frames = frames.reshape(batch.views, batch.time, *frames.shape[1:])
            if not flips:
                _flip(frames, batch)
            yield frames


def _flip(frames: Tensor, batch: EncodedBatch) -> None:
    """Mirror the flipped views in place: uint8 (views, time, size, size, 3).

    DALI's own operator takes half as long on a CPU as the decoding. Only a few rows are mirrored
    at a time, so that torch works in this thread alone: its other threads would slow down DALI's.
    """
    width = frames.shape[3]
    for view in batch.treatment.flip[:: batch.time].nonzero()[0]:
        for rows in frames[view].view(-1, width, 3).split(max(1, ONE_THREAD // (3 * width))):
            rows.copy_(rows.flip(1))


def _pipeline_key(batch: EncodedBatch) -> tuple[bool, int]:
    return batch.treatment.colour is not None, len(batch.frames) // MOST_FRAMES


def _inputs(
    batches: Iterator[EncodedBatch], pending: deque[EncodedBatch], *, flips: bool
) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        pending.append(batch)
        jpegs, drawn = [frame.jpeg for frame in batch.frames], batch.treatment
        flip = (drawn.flip,) if flips else ()
        colour = () if drawn.colour is None else (drawn.colour,)
        yield jpegs, drawn.corner, *flip, *colour


def _pipeline(
    source: Iterator[tuple[Any, ...]],
    *,
    size: int,
    colour: bool,
    flips: bool,
    most: int,
    device: torch.device,
    threads: int,
    prefetch: int,
    normalise: Normalisation | None,
) -> Any:
    from nvidia.dali import Pipeline, fn, types

    on_gpu = device.type == "cuda"
    pipeline = Pipeline(
        batch_size=most,
        num_threads=threads,
        device_id=device.index if on_gpu else None,
        prefetch_queue_depth=prefetch,
        exec_dynamic=True,  # an output stays valid for as long as it is referenced
    )
    with pipeline:
        kinds = [(types.UINT8, 1), (types.INT32, 1)]
        kinds += [(types.INT32, 0)] * flips + [(types.FLOAT, 2)] * colour
        jpegs, corner, *others = fn.external_source(
            source,
            num_outputs=len(kinds),
            dtype=[kind for kind, _ in kinds],
            ndim=[ndim for _, ndim in kinds],
            no_copy=True,
        )
        flip, colours = others[:flips], others[flips:]
        options: dict[str, Any] = {
            "adjust_orientation": False,  # prep has rotated the frames already
            "jpeg_fancy_upsampling": True,  # the GPU's pixels as the CPU's
            "affine": False,  # several ranks on a machine would share the same cores
        }
        window: dict[str, Any] = {"start": corner, "shape": (size, size), "axis_names": "HW"}
        if on_gpu:
            # For a window with this upsampling nvJPEG before 13.2 uses the CPU, at an eighth of
            # the speed (4,200 frames/s in place of 34,000 on an H200).
            frames = fn.slice(fn.decoders.image(jpegs, device="mixed", **options), **window)
        else:
            frames = fn.decoders.image_slice(jpegs, device="cpu", **window, **options)
        for matrix in colours:
            frames = fn.coord_transform(frames, MT=matrix, dtype=types.UINT8)
        if normalise is not None:  # flip and scaling in one pass
            frames = fn.crop_mirror_normalize(
                frames,
                mirror=flip[0],
                mean=[255 * value for value in normalise.mean],
                std=[255 * value for value in normalise.std],
                dtype=types.FLOAT,
                output_layout="CHW",
            )
        elif flips:
            frames = fn.flip(frames, horizontal=flip[0])
        pipeline.set_outputs(frames)
    return pipeline


def _next(pipeline: Any, pending: deque[EncodedBatch]) -> Tensor | None:
    """Return the frames of the next batch in DALI's memory, or None at the end."""
    try:
        (frames,) = pipeline.run()
    except StopIteration:
        return None
    except RuntimeError as error:
        # DALI's error names no video: decode again with Pillow, whose error does.
        for frame in (frame for batch in pending for frame in batch.frames):
            decoded(frame)
            if fault(frame.jpeg.tobytes()):
                raise broken(frame, "it does not decode") from error
        raise
    tensor: Tensor = from_dlpack(frames.as_tensor())
    return tensor


class _Copies:
    """Copies of a pipeline's GPU frames in torch's memory.

    The GPU may read frames long after Python has dropped them. torch's allocator keeps their
    memory until its stream has passed, DALI's would give it to the next batch. To copy an episode
    takes some 20 microseconds. The original is kept until the copy is done.
    """

    def __init__(self) -> None:
        self._held: deque[tuple[Tensor, torch.cuda.Event]] = deque()

    def of(self, frames: Tensor) -> Tensor:
        while self._held and self._held[0][1].query():
            self._held.popleft()
        with torch.cuda.device(frames.device):
            copy, done = frames.clone(), torch.cuda.Event()
            done.record()
        self._held.append((frames, done))
        return copy
