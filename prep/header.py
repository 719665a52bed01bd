"""Frame counts from the headers of video files.

The count is a hint. With it, frames can be chosen in the same pass that decodes them, and no
extra ffmpeg process has to count them first. Decoded frames are counted anyway: a wrong hint
costs a second pass, never a wrong choice. A header that cannot be read gives None.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from prep.attempts import error_code

# A hostile file may nest and repeat boxes without end; real ones need a few dozen.
MOST_BOXES = 300
MOST_ENTRIES = 200_000
MOST_FRAMES = 10_000_000  # four days at 25 a second
MP4_LONG_SIZE = 1
# Matroska's element ids.
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT, INFO, TRACKS, TRACK, CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675
TIMESTAMP_SCALE, DURATION, TRACK_TYPE, FRAME_DURATION = 0x2AD7B1, 0x4489, 0x83, 0x23E383
NUMBERS = (TIMESTAMP_SCALE, DURATION, TRACK_TYPE, FRAME_DURATION)


class _Unreadable(Exception):
    pass


@dataclass(frozen=True)
class HeaderCount:
    """Frame count by a header; not ``exact`` where it is computed as length over frame duration.

    seconds: length by the header; 0 where unknown. steady: False where the header shows that the
    rate is not constant.
    """

    frames: int
    exact: bool
    seconds: float = 0.0
    steady: bool = True


def header_count(path: Path) -> HeaderCount | None:
    """Read the frame count of the first video track from the header of a file.

    Known are MP4, MOV, AVI, Matroska and WebM; None where the header does not give a count. Raises
    `OSError` where the file cannot be opened or read.
    """
    try:
        count = _read_count(path)
    except OSError as error:
        if error_code(error):
            raise
        return None  # a header may point to places that no file has
    except (struct.error, ArithmeticError, ValueError, KeyError, _Unreadable):
        return None
    return count if count and 0 < count.frames <= MOST_FRAMES else None


def _read_count(path: Path) -> HeaderCount | None:
    with path.open("rb") as file:
        start = file.read(12)
        file.seek(0, 2)
        end = file.tell()
        if start[:4] == b"RIFF" and start[8:] == b"AVI ":
            return _avi_count(file, end)
        if start[:4] == EBML:
            return _mkv_count(file, end)
        if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return _mp4_count(file, end)
    return None


def _mp4_count(file: BinaryIO, end: int) -> HeaderCount:
    movie, movie_end = _inside(file, 0, end, b"moov")
    for kind, track, track_end in _boxes(file, movie, movie_end):
        if kind == b"trak":
            media, media_end = _inside(file, track, track_end, b"mdia")
            handler, _ = _inside(file, media, media_end, b"hdlr")
            if _read(file, handler + 8, "4s") == (b"vide",):
                runs = _samples(file, *_inside(file, media, media_end, b"minf"))
                count = sum(frames for frames, _ in runs)
                ticks = sum(frames * each for frames, each in runs)
                length = ticks / _timescale(file, _inside(file, media, media_end, b"mdhd")[0])
                shown = _shown_ticks(file, track, track_end)
                shown /= _timescale(file, _inside(file, movie, movie_end, b"mvhd")[0])
                # A cut without encoding leaves an edit list that drops the beginning or the
                # end. A difference of less than 5 % is rounding.
                if 0 < shown < 0.95 * length:
                    count, length = round(count * shown / length), shown
                return HeaderCount(count, exact=True, seconds=length, steady=_steady(runs))
    raise _Unreadable


def _samples(file: BinaryIO, start: int, stop: int) -> list[tuple[int, int]]:
    """Read the time-to-sample table: runs of (frames, ticks of each)."""
    table, table_end = _inside(file, *_inside(file, start, stop, b"stbl"), b"stts")
    (entries,) = _read(file, table + 4, ">I")
    if entries > min(MOST_ENTRIES, (table_end - table) // 8):
        raise _Unreadable
    numbers = _read(file, table + 8, f">{2 * entries}I")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _steady(runs: Sequence[tuple[int, int]]) -> bool:
    """True where no frame is shown further than one frame from its place at a constant rate."""
    frames = ticks = 0
    places = [(0, 0)]
    for count, each in runs:
        frames, ticks = frames + count, ticks + count * each
        places.append((frames - 1, ticks - each))
        places.append((frames, ticks))
    if len(places) < 2 or min(places[-2]) < 1:
        return True
    last, end = places[-2]
    return all(abs(time - number * end / last) <= end / last for number, time in places[:-1])


def _timescale(file: BinaryIO, header: int) -> int:
    """Read the ticks per second of a movie or media header; dates before it vary in length."""
    (version,) = _read(file, header, "B")
    (ticks,) = _read(file, header + (20 if version == 1 else 12), ">I")
    return int(ticks)


def _shown_ticks(file: BinaryIO, track: int, track_end: int) -> float:
    """Sum the ticks of the movie that an edit list shows of a track; 0 without an edit list."""
    try:
        edits, _ = _inside(file, *_inside(file, track, track_end, b"edts"), b"elst")
    except _Unreadable:
        return 0.0
    version, entries = _read(file, edits, ">B3xI")
    layout = ">QqI" if version == 1 else ">IiI"
    width = struct.calcsize(layout)
    parts = (_read(file, edits + 8 + at * width, layout) for at in range(min(entries, MOST_BOXES)))
    return float(sum(ticks for ticks, begin, _ in parts if begin >= 0))


def _inside(file: BinaryIO, start: int, stop: int, name: bytes) -> tuple[int, int]:
    for kind, inner, inner_stop in _boxes(file, start, stop):
        if kind == name:
            return inner, inner_stop
    raise _Unreadable


def _boxes(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of each box: 4 bytes of size, 4 of kind, content."""
    for _ in range(MOST_BOXES):
        if start + 8 > stop:
            return
        size, kind = _read(file, start, ">I4s")
        content = start + 8
        if size == MP4_LONG_SIZE:
            (size,) = _read(file, content, ">Q")
            content += 8
        size = size or stop - start  # 0 means: up to the end of the file
        if size < content - start:
            return
        yield kind, content, min(start + size, stop)
        start += size


def _avi_count(file: BinaryIO, end: int) -> HeaderCount:
    """Read the length of the first video stream: RIFF > LIST hdrl > LIST strl > strh."""
    for header, header_end in _avi_lists(file, 12, end, b"hdrl"):
        for stream, stream_end in _avi_lists(file, header, header_end, b"strl"):
            for kind, start, _ in _chunks(file, stream, stream_end):
                if kind == b"strh" and _read(file, start, "4s") == (b"vids",):
                    scale, rate, _, length = _read(file, start + 20, "<4I")
                    seconds = length * scale / rate if rate else 0.0
                    return HeaderCount(int(length), exact=True, seconds=seconds)
    raise _Unreadable


def _avi_lists(file: BinaryIO, start: int, stop: int, name: bytes) -> Iterator[tuple[int, int]]:
    for kind, inner, inner_stop in _chunks(file, start, stop):
        if kind == b"LIST" and _read(file, inner, "4s") == (name,):
            yield inner + 4, inner_stop


def _chunks(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(MOST_BOXES):
        if start + 8 > stop:
            return
        kind, size = _read(file, start, "<4sI")
        yield kind, start + 8, min(start + 8 + size, stop)
        start += 8 + size + size % 2


def _mkv_count(file: BinaryIO, end: int) -> HeaderCount:
    """Divide the duration of the file by that of a frame; right to within a few frames."""
    for kind, start, stop in _elements(file, 0, end):
        if kind == SEGMENT:
            durations = _mkv_durations(file, start, stop)
            total = durations.get(DURATION, 0) * durations.get(TIMESTAMP_SCALE, 1e6)
            frames = round(total / durations[FRAME_DURATION])
            return HeaderCount(frames, exact=False, seconds=total / 1e9)
    raise _Unreadable


def _mkv_durations(file: BinaryIO, start: int, stop: int) -> dict[int, float]:
    durations: dict[int, float] = {}
    for kind, inner, inner_stop in _elements(file, start, stop):
        if kind == INFO:
            durations |= _mkv_numbers(file, inner, inner_stop)
        elif kind == TRACKS:
            tracks = [box for box in _elements(file, inner, inner_stop) if box[0] == TRACK]
            durations |= _first_video(_mkv_numbers(file, *track[1:]) for track in tracks)
        elif kind == CLUSTER:
            break
    return durations


def _first_video(tracks: Iterator[dict[int, float]]) -> dict[int, float]:
    return next((track for track in tracks if track.get(TRACK_TYPE) == 1), {})


def _mkv_numbers(file: BinaryIO, start: int, stop: int) -> dict[int, float]:
    """Read the children of an element that are numbers, by their ids."""
    numbers: dict[int, float] = {}
    for kind, inner, inner_stop in _elements(file, start, stop):
        if kind in NUMBERS and inner_stop - inner <= 8:
            file.seek(inner)
            raw = file.read(inner_stop - inner)
            if kind == DURATION:
                (numbers[kind],) = struct.unpack(">f" if len(raw) == 4 else ">d", raw)
            else:
                numbers[kind] = int.from_bytes(raw)
    return numbers


def _elements(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, start and end of the content of each EBML element."""
    for _ in range(MOST_BOXES):
        if start + 2 > stop:
            return
        file.seek(start)
        head = file.read(12)
        kind_length, size_length = _vint_length(head, 0), _vint_length(head, _vint_length(head, 0))
        raw = head[kind_length : kind_length + size_length]
        size = int.from_bytes(raw) & ((1 << 7 * size_length) - 1)
        if size == (1 << 7 * size_length) - 1:  # unknown, as in a live recording
            size = stop
        content = start + kind_length + size_length
        yield int.from_bytes(head[:kind_length]), content, min(content + size, stop)
        start = content + size


def _vint_length(head: bytes, at: int) -> int:
    """Count the bytes of a variable-length number: one more than its leading zero bits."""
    if at >= len(head) or not head[at]:
        raise _Unreadable
    return 9 - head[at].bit_length()


def _read(file: BinaryIO, position: int, layout: str) -> tuple[Any, ...]:
    file.seek(position)
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
