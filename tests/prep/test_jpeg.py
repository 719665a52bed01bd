import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from prep.jpeg import BrokenJpeg, check_decodes, jpeg_size, split_stream


def picture(width: int = 40, height: int = 24, **options: object) -> bytes:
    image = Image.effect_noise((width, height), 80).convert("RGB")
    written = io.BytesIO()
    image.save(written, "JPEG", quality=95, **options)
    return written.getvalue()


def test_a_stream_of_jpegs_is_cut_where_one_ends_and_another_begins() -> None:
    images = [picture(16 + n, 16) for n in range(5)]
    assert split_stream(b"".join(images)) == images
    assert split_stream(b"") == []


def test_the_size_is_height_and_width() -> None:
    assert jpeg_size(picture(40, 24)) == (24, 40)


def test_restart_markers_are_no_end() -> None:
    assert jpeg_size(picture(restart_marker_blocks=2)) == (24, 40)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"", "begin"),
        (picture()[:-2], "cut short"),
        (picture()[:300], "cut short|no marker"),
        (picture() + b"x", "follow"),
        (picture()[:-60] + picture(), "stray marker"),
        (picture(progressive=True), "baseline"),
        (b"\xff\xd8\xff\xd9", "no marker"),
    ],
)
def test_what_is_not_one_whole_jpeg_is_told_apart(broken: bytes, reason: str) -> None:
    with pytest.raises(BrokenJpeg, match=reason):
        jpeg_size(broken)


def test_a_grey_picture_is_not_taken() -> None:
    written = io.BytesIO()
    Image.new("L", (8, 8)).save(written, "JPEG")
    with pytest.raises(BrokenJpeg, match="colour"):
        jpeg_size(written.getvalue())


def test_a_picture_that_does_not_decode_is_told() -> None:
    good = picture()
    check_decodes(good)
    with pytest.raises(BrokenJpeg, match="decode"):
        check_decodes(good[: len(good) // 2])


@settings(max_examples=200)
@given(cut=st.integers(0, 10**6), junk=st.binary(max_size=4), at=st.integers(0, 10**6))
def test_no_bytes_are_more_than_broken(cut: int, junk: bytes, at: int) -> None:
    jpeg = picture()
    jpeg = jpeg[: cut % (len(jpeg) + 1)]
    at %= len(jpeg) + 1
    try:
        height, width = jpeg_size(jpeg[:at] + junk + jpeg[at + len(junk) :])
    except BrokenJpeg:
        return
    assert height > 0
    assert width > 0
