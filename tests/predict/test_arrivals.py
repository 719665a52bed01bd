"""A watched folder yields each clip once, when its file no longer changes."""

import os
from pathlib import Path

from tasd.predict.arrivals import watch_folder


class Readings:
    """Ends the watch after some readings of the folder, and calls a function before each."""

    def __init__(self, *before) -> None:
        self.before = list(before)

    def __call__(self) -> bool:
        if not self.before:
            return True
        self.before.pop(0)()
        return False


def test_a_clip_is_given_once_it_no_longer_grows(tmp_path):
    clip: Path = tmp_path / "new.mp4"

    def grown():
        clip.write_bytes(clip.read_bytes() + b"more" if clip.exists() else b"begun")

    def nothing():
        pass

    readings = Readings(grown, grown, grown, nothing, nothing, nothing)
    assert list(watch_folder(tmp_path, stop=readings, seconds=0.0)) == [[clip]]


def test_a_clip_that_changes_is_given_again_and_other_files_never(tmp_path):
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"first")
    (tmp_path / "notes.txt").write_text("no clip")
    (tmp_path / "empty.mp4").touch()

    def nothing():
        pass

    def changed():
        clip.write_bytes(b"second")
        os.utime(clip, ns=(1, 1))

    readings = Readings(nothing, nothing, nothing, changed, nothing, nothing)
    assert list(watch_folder(tmp_path, stop=readings, seconds=0.0)) == [[clip], [clip]]
