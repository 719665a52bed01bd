"""A clip whose file name is not UTF-8 reaches ffmpeg by a link."""

import os
from pathlib import Path

from tasd.predict.clips import _named, source_of


def test_a_name_that_is_not_utf8_gets_a_link(tmp_path):
    path = Path(os.fsdecode(bytes(tmp_path) + b"/a\xff.mp4"))
    path.write_bytes(b"clip")
    (tmp_path / "links").mkdir()
    named = _named(source_of(path, "0"), tmp_path / "links")
    assert named.path.encode()
    assert Path(named.path).read_bytes() == b"clip"
    plain = source_of(tmp_path / "grün.mp4", "1")
    assert _named(plain, tmp_path / "links") is plain
