"""Lines of lists of videos, in the formats of this field: a path, and the number of a label."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasd.datasets.base import VIDEO_SUFFIXES
from tasd.errors import UserError
from tasd.foreign import clean

KNOWN_FORMATS = (
    "class/name; path label; path frames label; path,label (all with quotes, backslashes, or "
    "absolute below --root); label,youtube_id,time_start,time_end,split with this header"
)
LARGEST = 256 << 20  # bytes of a list; Kinetics-700's annotations have 30 MB
LONGEST = 8192  # characters of a line; a path of Linux has 4,096 bytes
# ``train0//`` of ``train0//videos/air_drumming/x.mp4``: the split and the number of the class.
_LABEL_BEFORE = re.compile(r"^[A-Za-z]+\d*//")
_SUFFIX = "|".join(sorted(re.escape(suffix) for suffix in VIDEO_SUFFIXES))
# `` 1`` of ``v_Archery_g01_c01.avi 1``, `` 300 1`` of frame folders, ``,1`` of VideoMAE.
_AFTER_VIDEO = re.compile(rf"(.*(?:{_SUFFIX}))(?:[\s,]+\d+)?[\s,]+(\d+)", re.IGNORECASE)
_AFTER_ANY = re.compile(r"(.*?\S)(?:,\d+){0,2},(\d+)")
_QUOTED = re.compile(r"""(["'])(.+)\1(?:[\s,]+\d+)?(?:[\s,]+(\d+))?""")
_TWO_NUMBERS = re.compile(r"(.*\S)\s+\d+\s+(\d+)")
_ONE_NUMBER = re.compile(r"(.*\S)\s+(\d+)")
_DRIVE = re.compile(r"[A-Za-z]:/")
_HEADER = ("path", "video", "video_path", "filename", "file", "video_name")


@dataclass(frozen=True)
class Line:
    """One video of a list: its path, with forward slashes.

    where: the line and the file, for messages. text: the line as written. number: of the label,
    where the line ends with one. class_name: where the class is a field of its own.
    """

    path: str
    where: str
    text: str
    number: int | None = None
    class_name: str | None = None


def read_lines(path: Path) -> list[Line]:
    """Read the lines of a list. Raises `UserError`, with the formats that are known."""
    texts = [(n, text.strip()) for n, text in enumerate(_text(path).split("\n"), start=1)]
    texts = [(number, text) for number, text in texts if text]
    if not texts:
        raise UserError(f"the list {path} is empty; known lines are {KNOWN_FORMATS}")
    header = [cell.strip().strip('"').casefold() for cell in texts[0][1].split(",")]
    if "youtube_id" in header:
        return list(_annotations(texts, header, path))
    if header[0] in _HEADER and len(header) > 1:
        texts = texts[1:]
    bare = _numbers_after({text for _, text in texts})
    return [_line(text, bare, f"line {number} of {path}") for number, text in texts]


def unknown_format(where: str, text: str) -> UserError:
    """Return the error for a line in no known format, which it quotes."""
    shown = clean(text[:80]) + ("..." if len(text) > 80 else "")
    return UserError(f"{where} is in no known format: '{shown}'; known are {KNOWN_FORMATS}")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"the list {path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UserError(f"the list {path} has over {LARGEST >> 20} MiB, as no list of videos has")
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UserError(
            f"the list {path} is not a text in UTF-8, it begins with {content[:16]!r}; "
            f"known lines are {KNOWN_FORMATS}"
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST:
            raise unknown_format(f"line {number} of {path}, of {len(line):,} characters,", line)
    return text


def _annotations(texts: list[tuple[int, str]], header: list[str], path: Path) -> Iterator[Line]:
    """Read Kinetics' annotations: ``x`` from 1 s to 11 s is ``x_000001_000011``."""
    if "label" not in header:
        raise UserError(
            f"the list {path} has no column 'label' ({texts[0][1][:80]!r}), so no classes; "
            "take the annotations with labels: label,youtube_id,time_start,time_end,split"
        )
    for number, text in texts[1:]:
        where = f"line {number} of {path}"
        try:
            row = dict(zip(header, next(csv.reader([text])), strict=True))
            name = row["youtube_id"].strip()
            if "time_start" in row and "time_end" in row:
                start, end = int(float(row["time_start"])), int(float(row["time_end"]))
                name = f"{name}_{start:06}_{end:06}"
        except (ValueError, OverflowError, csv.Error):
            raise unknown_format(where, text) from None
        yield Line(name, where, text, class_name=row["label"].strip())


def _numbers_after(texts: set[str]) -> re.Pattern[str] | None:
    """Return the pattern of numbers after paths without extension, where every line has them."""
    bare = [text for text in texts if not text.startswith(('"', "'"))]
    for pattern in (_TWO_NUMBERS, _ONE_NUMBER):
        matches = [match for text in bare if (match := pattern.fullmatch(text))]
        # Without its number, ``take 1`` and ``take 2`` would be one video.
        if bare and len(matches) == len(bare) == len({match[1] for match in matches}):
            return pattern
    return None


def _line(text: str, bare: re.Pattern[str] | None, where: str) -> Line:
    path, number, name = text, None, None
    if quoted := _QUOTED.fullmatch(text):
        path, number = quoted[2], quoted[3]
        if quoted[1] == '"':
            path = path.replace('""', '"')
    elif match := _match(text, (_AFTER_VIDEO, _AFTER_ANY, bare)):
        path, number = match[1], match[2]
    elif match := re.fullmatch(rf"(.*(?:{_SUFFIX})),\s*([^,/]+)", text, re.IGNORECASE):
        path, name = match[1], match[2].strip("\"' ")
    if len(number or "") > 9:
        raise unknown_format(where, text)
    path = path.strip().replace("\\", "/")
    if _DRIVE.match(path):
        path = path[2:]
    path = _LABEL_BEFORE.sub("", path, count=1).removeprefix("./")
    return Line(path, where, text, None if number is None else int(number), name)


def _match(text: str, patterns: Iterable[re.Pattern[str] | None]) -> re.Match[str] | None:
    found = (pattern.fullmatch(text) for pattern in patterns if pattern)
    return next((match for match in found if match), None)
