"""Lines of metrics.jsonl, each with its CRC-32: what is damaged costs its own line and no other."""

import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasd.errors import UserError
from tasd.files import as_json
from tasd.foreign import open_regular, remark

# The end of a line: the CRC-32 of all characters before it.
_SUM = re.compile(r', "crc32": "([0-9a-f]{8})"\}')
_TEMPLATE = ', "crc32": "00000000"}'
_SUM_LENGTH = len(_TEMPLATE)
_DIFFERENT = 6  # characters at most of a sum that is damaged itself

_told: set[Path] = set()  # files whose damage was said, once a process


@dataclass(frozen=True)
class MetricsLine:
    """A line as it stands in the file, what it says, and True where it carries its sum."""

    text: str
    values: dict[str, Any]
    summed: bool


def metrics_text(values: Mapping[str, Any]) -> str:
    """Return the text of a line, with its sum as the last key."""
    text = as_json(values, ascii=True).removesuffix("}")
    return f'{text}, "crc32": "{zlib.crc32(text.encode()):08x}"}}'


def metrics_lines(path: Path) -> list[MetricsLine]:
    """Return the lines of a log that can be read; none where there is no file.

    Lines in the middle that are damaged, or are no objects, are left out, which is said once. A
    last line without its end was cut off by a crash and is left out without a word. Lines of
    earlier versions, which have no sum, stand before all that have one. Raises `UserError` where
    the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); look at its run") from None
    rows = content.split(b"\n")
    read, summed = [], False
    for row in rows:
        line = _line(row, summed=summed)
        summed = summed or (line is not None and line.summed)
        read.append(line)
    whole = [*rows[:-1], rows[-1] if _SUM.search(rows[-1].decode("latin-1")) else b""]
    damaged = [n for n, (row, line) in enumerate(zip(whole, read, strict=True), 1)
               if row.strip() and line is None]  # fmt: skip
    if damaged and path not in _told:
        _told.add(path)
        remark(f"{path}: damaged lines, left out: {len(damaged)}; line {damaged[0]} is the first")
    return [line for line in read if line is not None]


def _line(row: bytes, *, summed: bool) -> MetricsLine | None:
    """Read a line; None where it is damaged. summed: it must carry its sum."""
    try:
        text = row.decode()
        found = _SUM.fullmatch(text[-_SUM_LENGTH:])
        if found is None and (summed or _was_summed(text)):
            return None
        if found and f"{zlib.crc32(text[:-_SUM_LENGTH].encode()):08x}" != found[1]:
            return None
        values = json.loads(text)
        if found and isinstance(values, dict):
            del values["crc32"]
        return MetricsLine(text, values, bool(found)) if _fits(values) else None
    except (ValueError, RecursionError):
        return None


def _was_summed(text: str) -> bool:
    """True where a line ends as one with a sum does, but for a few characters."""
    pairs = zip(text[-_SUM_LENGTH:], _TEMPLATE, strict=False)
    same = sum(a == b or (b == "0" and a in "0123456789abcdef") for a, b in pairs)
    return same >= _SUM_LENGTH - _DIFFERENT


def _fits(values: Any) -> bool:
    """Return True for an object with all that readers take from a line of its kind."""
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        return False
    episode = values.get("episode")
    if not isinstance(episode, int) or isinstance(episode, bool) or episode < 0:
        return False
    return all(_FIELDS[values["kind"]](values)) if values["kind"] in _FIELDS else True


def _number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _of_training(values: Mapping[str, Any]) -> Iterator[bool]:
    yield from (name in values and _number(values[name]) for name in ("loss", "accuracy"))
    yield from _of_gradients(values)
    yield all("weighted" in term for term in values["terms"].values())


def _of_gradients(values: Mapping[str, Any]) -> Iterator[bool]:
    terms = values.get("terms")
    yield isinstance(terms, dict) and all(isinstance(term, dict) for term in terms.values())
    yield all(_number(value) for term in values["terms"].values() for value in term.values())


def _of_validation(values: Mapping[str, Any]) -> Iterator[bool]:
    for network in (values[name] for name in ("student", "teacher") if name in values):
        numbers = network if isinstance(network, dict) else {"accuracy": network}
        yield "accuracy" in numbers and all(_number(value) for value in numbers.values())
    plain = values.get("plain", {"accuracy": 0.0})
    yield isinstance(plain, dict) and "accuracy" in plain and _number(plain["accuracy"])
    yield isinstance(values.get("way", 0), int)


_FIELDS = {"train": _of_training, "gradients": _of_gradients, "validation": _of_validation}


def as_numbers(value: Any) -> Any:
    """Return a line's values with nan where the file has null, which stands for not finite."""
    if isinstance(value, dict):
        return {name: as_numbers(below) for name, below in value.items()}
    return math.nan if value is None else value
