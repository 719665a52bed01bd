"""Videos that are stored as folders of extracted JPEG frames."""

import io
import math
import re
from pathlib import Path

from PIL import Image, ImageOps

from prep.attempts import with_attempts
from prep.clip import Clip, FrameSettings, UnreadableVideo
from prep.jpeg import BrokenJpeg, check_decodes, jpeg_size
from prep.select import resized, select_frames
from tasd.datasets.base import FRAME_SUFFIXES

QUALITY = 95
LARGEST_BYTES = 64 << 20
LARGEST_PIXELS = 8192 * 8192


def read_frame_folder(folder: Path, settings: FrameSettings) -> Clip | UnreadableVideo:
    """Return the clip of a folder of frames; their times are not known."""
    return with_attempts(lambda number: _read_once(folder, settings), [])


def _read_once(folder: Path, settings: FrameSettings) -> Clip | UnreadableVideo:
    try:
        files = frame_files(folder)
        if settings.fps is not None:
            raise UnreadableVideo("frames in a folder have no times, and --fps needs them")
        if not files:
            raise UnreadableVideo("there is no JPEG in this folder")
        count = len(files)
        chosen = range(count) if settings.frames is None else select_frames(count, settings.frames)
        jpegs = {index: _frame(files[index], settings) for index in sorted({*chosen})}
        sizes = {jpeg_size(jpeg) for jpeg in jpegs.values()}
    except BrokenJpeg as error:
        return UnreadableVideo(str(error))
    if len(sizes) > 1:
        return UnreadableVideo("its frames differ in shape")
    frames = tuple(jpegs[index] for index in chosen)
    return Clip(frames, (math.nan,) * len(frames), sizes.pop(), decoded=count, header_frames=count)


def frame_files(folder: Path) -> list[Path]:
    """List the frames in the order of their numbers: frame2 before frame10."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in FRAME_SUFFIXES)
    return sorted(files, key=lambda path: (_natural_key(path.name), path.name))


def _natural_key(name: str) -> list[tuple[int, str]]:
    """Split a name into text and numbers in turn, so that numbers compare by value."""
    pieces = re.split("([0-9]+)", name)
    return [(int(piece) if at % 2 else -1, piece) for at, piece in enumerate(pieces)]


def _frame(path: Path, settings: FrameSettings) -> bytes:
    """Return one frame at the stored size; the bytes on the disk where these fit already."""
    if path.stat().st_size > LARGEST_BYTES:
        raise UnreadableVideo(f"{path.name} is larger than any frame should be")
    raw = path.read_bytes()
    try:
        with Image.open(io.BytesIO(raw), formats=["JPEG"]) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise UnreadableVideo(f"{path.name} has {image.width} x {image.height} pixels")
            upright = ImageOps.exif_transpose(image)
            size = resized(
                upright.width, upright.height, resize=settings.resize, size=settings.size
            )
            if image.size == size and upright.size == image.size and _is_plain(raw):
                return raw
            picture = upright.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableVideo(f"{path.name} does not decode: {error}") from None
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()


def _is_plain(jpeg: bytes) -> bool:
    """True where the JPEG may be stored as it is: whole, baseline, in colour."""
    try:
        jpeg_size(jpeg)
        check_decodes(jpeg)
    except BrokenJpeg:
        return False
    return True
