"""The structure of JPEG files: split a stream of them, and check each.

One broken image can end a whole training run. So the structure of every frame is checked before
it is stored: markers, picture size, and an entropy-coded part that ends where the image ends.
That takes microseconds; decoding would take milliseconds.
"""

import io
import re

from PIL import Image

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
BASELINE = (0xC0, 0xC1)
OTHER_FRAMES = tuple(set(range(0xC0, 0xD0)) - {0xC0, 0xC1, 0xC4, 0xC8, 0xCC})
BETWEEN_IMAGES = b"\xff\xd9\xff\xd8"
# Inside the coded part a 0xFF is followed by 0 (a plain 0xFF) or a restart marker.
STRAY_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")


class BrokenJpeg(Exception):
    """Bytes that are not one whole baseline JPEG; the text is the reason."""


def split_stream(stream: bytes | bytearray) -> list[bytes]:
    """Split a stream of JPEGs, such as ffmpeg's mjpeg format, into its images."""
    images, start = [], 0
    while (end := stream.find(BETWEEN_IMAGES, start)) >= 0:
        images.append(bytes(stream[start : end + 2]))
        start = end + 2
    if start < len(stream):
        images.append(bytes(stream[start:]))
    return images


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Return height and width of a whole baseline JPEG. Raises `BrokenJpeg`."""
    if jpeg[:2] != bytes((0xFF, SOI)):
        raise BrokenJpeg("it does not begin as a JPEG")
    size, at = None, 2
    while True:
        if at + 4 > len(jpeg) or jpeg[at] != 0xFF:
            raise BrokenJpeg(f"no marker at byte {at}")
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4])
        if marker in OTHER_FRAMES:
            raise BrokenJpeg("it is not baseline")
        if marker in BASELINE:
            size = _frame_size(jpeg[at + 4 : at + 2 + length])
        at += 2 + length
        if marker == SOS:
            break
    if size is None:
        raise BrokenJpeg("it has no frame header")
    _check_coded_part(jpeg, at)
    return size


def check_decodes(jpeg: bytes) -> None:
    """Decode an image in full. Raises `BrokenJpeg`."""
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BrokenJpeg(f"it does not decode: {error}") from None


def _frame_size(header: bytes) -> tuple[int, int]:
    """Read height and width from a start-of-frame segment.

    Its content: precision, height, width, number of components, 3 bytes for each component.
    """
    if len(header) < 6 or len(header) != 6 + 3 * header[5]:
        raise BrokenJpeg("its frame header is cut short")
    height, width = int.from_bytes(header[1:3]), int.from_bytes(header[3:5])
    if header[0] != 8 or header[5] != 3 or not height or not width:
        raise BrokenJpeg("it is not an 8-bit colour picture")
    return height, width


def _check_coded_part(jpeg: bytes, start: int) -> None:
    stray = STRAY_MARKER.search(jpeg, start)
    if stray is None:
        raise BrokenJpeg("it is cut short")
    if stray.group()[1] != EOI:
        raise BrokenJpeg(f"a stray marker {stray.group()[1]:#x} at byte {stray.start()}")
    if stray.end() != len(jpeg):
        raise BrokenJpeg(f"{len(jpeg) - stray.end()} bytes follow its end")
    if stray.start() == start:
        raise BrokenJpeg("it has no picture data")
