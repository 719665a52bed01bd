"""The video tracks of a file as ffmpeg lists them, and the choice among them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

TRACK = re.compile(
    rb"^\[info\]   Stream #(?P<file>\d+):(?P<index>\d+)[^ ]*: Video: (?P<codec>\w+)(?P<rest>.*)"
)
SIZE = re.compile(r", (\d+)x(\d+)[ ,\[]")
RATE = re.compile(r", ([\d.]+)(k?) fps")
# Matrix, primaries and transfer, where they differ: "yuv420p10le(tv, bt2020nc/bt2020/smpte2084, ".
COLOURS = re.compile(r"[(\s]([\w-]+)/([\w-]+)/(smpte2084|arib-std-b67)[,)]")
STILL = ("(attached pic)", "(timed thumbnails)", "(still image)")
PICTURE_CODECS = ("mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpeg2000")
SLOWEST = 2.0  # frames a second; a track of pictures at this rate or less is of thumbnails


@dataclass(frozen=True)
class Track:
    """One video track: its index among all tracks of the file, pixels, and frames a second.

    moving: False for cover art and thumbnails. attached: True for cover art alone. transfer: that
    of HDR colours, as ffmpeg calls it; else empty. assumed: colours of HDR that the file does not
    tell, as options of ffmpeg's ``setparams`` filter.
    """

    index: int
    width: int
    height: int
    rate: float
    default: bool
    moving: bool
    transfer: str = ""
    attached: bool = False
    assumed: str = ""


def parse_track(line: bytes) -> tuple[int, Track] | None:
    """Return the number of the file and the track of a line of ffmpeg's list of streams."""
    match = TRACK.match(line)
    if not match:
        return None
    rest = match["rest"].decode(errors="replace")
    size, rate = SIZE.search(rest), RATE.search(rest)
    fps = float(rate[1]) * (1000 if rate[2] else 1) if rate else 0.0
    pictures = match["codec"].decode() in PICTURE_CODECS and 0 < fps <= SLOWEST
    colours = COLOURS.search(rest)
    track = Track(
        index=int(match["index"]),
        width=int(size[1]) if size else 0,
        height=int(size[2]) if size else 0,
        rate=fps,
        default="(default)" in rest,
        moving=not pictures and not any(mark in rest for mark in STILL),
        transfer=colours[3] if colours else "",
        attached=any(mark in rest for mark in STILL[:2]),
        assumed=_assumed(colours[1], colours[2]) if colours else "",
    )
    return int(match["file"]), track


def _assumed(matrix: str, primaries: str) -> str:
    """Return what is assumed of HDR colours: those of BT.2020 where the file tells none."""
    unknown = {"colorspace=bt2020nc": matrix, "color_primaries=bt2020": primaries}
    return ":".join(option for option, value in unknown.items() if value == "unknown")


def best_track(tracks: Sequence[Track]) -> Track | None:
    """Return the track that a player shows: moving, then the default, then the largest."""
    ranked = sorted(tracks, key=lambda t: (t.moving, t.default, t.width * t.height), reverse=True)
    return ranked[0] if ranked else None


def chosen_remark(tracks: Sequence[Track], chosen: Track) -> str:
    """Describe the choice; empty where there was none, or only cover art was passed over."""
    if sum(not track.attached for track in tracks) < 2:
        return ""
    others = ", ".join(_named(track) for track in tracks if track.index != chosen.index)
    sizes = [track.width * track.height for track in tracks if track.index != chosen.index]
    larger = chosen.width * chosen.height > max(sizes)
    why = "the largest" if larger else "the first"
    if not all(t.moving == chosen.moving for t in tracks):
        why = "the moving one"
    elif chosen.default and not all(t.default for t in tracks):
        why = "the default"
    return f"of {len(tracks)} video tracks {why} is taken, {_named(chosen)}; not {others}"


def _named(track: Track) -> str:
    kind = "" if track.moving else ", pictures"
    return f"number {track.index} ({track.width} x {track.height}{kind})"
