"""Beginnings of files that are videos, written out by hand and not read from the table."""

import pytest

from tasd.datasets.content import looks_like_video

REST = bytes(range(128, 256)) * 6
BEGINNINGS = {
    "MP4": b"\x00\x00\x00\x18ftypmp42",
    "MOV without ftyp": b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat",
    "MOV, index first": b"\x00\x00\x10\x00moov\x00\x00\x00\x6cmvhd",
    "MOV, free space first": b"\x00\x00\x00\x08free",
    "MOV, skipped space first": b"\x00\x00\x00\x08skip",
    "MOV, data first": b"\x00\x01\x00\x00mdat",
    "AVI": b"RIFF\x24\x10\x00\x00AVI LIST",
    "Matroska and WebM": b"\x1a\x45\xdf\xa3\x01\x00\x00\x00",
    "FLV": b"FLV\x01\x05\x00\x00\x00\x09",
    "ASF and WMV": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "MPEG program stream": b"\x00\x00\x01\xba\x44\x00",
    "MPEG-1 and 2 video": b"\x00\x00\x01\xb3\x14\x00",
    "MPEG-4 part 2": b"\x00\x00\x01\xb0\x01\x00",
    "H.264 and HEVC": b"\x00\x00\x00\x01\x67\x42",
    "H.264, short start": b"\x00\x00\x01\x67\x42",
    "HEVC, short start": b"\x00\x00\x01\x40\x01",
    "Ogg": b"OggS\x00\x02",
    "RealMedia": b".RMF\x00\x00\x00\x12",
    "IVF": b"DKIF\x00\x00\x20\x00VP80",
    "GIF": b"GIF89a",
    "MXF": b"\x06\x0e\x2b\x34\x02\x05\x01\x01",
    "NUT": b"nut/multimedia container\x00",
    "WTV": b"\xb7\xd8\x00\x20\x37\x49\xda\x11",
    "NSV": b"NSVf\x00\x00\x00\x40",
    "Dirac": b"BBCD\x00\x00\x00\x00\x12",
    "DV": b"\x1f\x07\x00\x3f",
    "MPEG transport stream": (b"\x47" + b"\x90" * 187) * 3,
    "MPEG transport stream of a camera": (b"\x81" * 4 + b"\x47" + b"\x90" * 187) * 3,
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_each_container_is_known_by_its_first_bytes(name):
    assert looks_like_video(BEGINNINGS[name] + REST)


@pytest.mark.parametrize("name", [name for name in BEGINNINGS if "transport" not in name])
def test_the_same_bytes_a_place_later_are_no_container(name):
    assert not looks_like_video(b"\xfe" + BEGINNINGS[name] + REST)
