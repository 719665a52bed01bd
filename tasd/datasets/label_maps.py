"""Maps from the numbers of labels to the names of classes, as lists of videos use them."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasd.errors import UserError

# The usual names, beside a list: of mmaction2, UCF101, Kinetics and Something-Something.
BESIDE = (
    *("label_map*.txt", "labels.txt", "labels.csv", "labels.json", "label_map*.json"),
    *("classInd*.txt", "classes.txt", "kinetics*labels.csv", "class_list.txt"),
)
LARGEST = 1 << 20  # bytes
_BEFORE = re.compile(r"(\d{1,9})(?:\s*[,:;\t]\s*|\s+)(.*\S)")
_AFTER = re.compile(r"(.*\S)\s*[,;\t]\s*(\d{1,9})")
_FORMATS = (
    "one class a line, counted from 0; 'number class' or 'class,number' in each line; or JSON"
)


def read_label_map(path: Path) -> Mapping[int, str]:
    """Read the class of each number. Raises `UserError`."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"the labels {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _unknown(path, "it is not a text in UTF-8") from None
    if len(content) > LARGEST or "\0" in text:
        raise _unknown(path, "it is too large or binary")
    names = _json(path, text) if text.lstrip()[:1] in ("{", "[") else _lines(path, text)
    if not names:
        raise _unknown(path, "it is empty")
    return names


def find_label_map(list_path: Path) -> Path | None:
    """Find the one file of labels beside a list. Raises `UserError` where there are several."""
    found = sorted({path for name in BESIDE for path in list_path.parent.glob(name)})
    found = [path for path in found if path.is_file() and path.name != list_path.name]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(
            f"beside {list_path}, whose labels are numbers, lie several files of labels ({names}); "
            "name the right one with --labels"
        )
    return found[0] if found else None


def _lines(path: Path, text: str) -> dict[int, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and re.fullmatch(r"(id|number|index|label)\s*[,;\t]\s*\w+", lines[0], re.IGNORECASE):
        lines = lines[1:]
    for pattern, number, name in ((_BEFORE, 1, 2), (_AFTER, 2, 1)):
        matches = [pattern.fullmatch(line) for line in lines]
        if all(matches):
            return _distinct(path, [(int(m[number]), m[name].strip("\"'")) for m in matches if m])
    return dict(enumerate(lines))


def _json(path: Path, text: str) -> dict[int, str]:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unknown(path, f"it is not JSON ({error})") from None
    try:
        if isinstance(content, list):
            return {number: str(name) for number, name in enumerate(content)}
        return _distinct(path, [_pair(key, value) for key, value in content.items()])
    except (ValueError, TypeError):
        raise _unknown(path, "a number of it is none") from None


def _pair(key: str, value: Any) -> tuple[int, str]:
    """Return number and class of an entry; either may be the key."""
    if key.isdecimal() and isinstance(value, str) and not value.isdecimal():
        return int(key), value
    return int(value), key


def _distinct(path: Path, pairs: Sequence[tuple[int, str]]) -> dict[int, str]:
    names: dict[int, str] = {}
    for number, name in pairs:
        if names.setdefault(number, name) != name:
            raise _unknown(path, f"{number} is {names[number]!r} and {name!r} there")
    return names


def _unknown(path: Path, reason: str) -> UserError:
    return UserError(f"the labels {path} are in no known format: {reason}; known are {_FORMATS}")
