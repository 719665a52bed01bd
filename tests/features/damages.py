"""A seeded campaign of damages to a feature file: byte flips, overwritten runs, truncations.

``python -m tests.features.damages FOLDER [NUMBER]`` goes on where it stopped; each line of
FOLDER/damages.jsonl is one damage.
"""

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

from tasd.errors import UserError
from tasd.features.reader import open_features
from tests.features.forked_hdf5 import forked_hdf5
from tests.features.hostile import write

SLOW = 60.0  # seconds


def damaged(whole: bytes, number: int) -> tuple[str, bytes]:
    """The kind of damage and the bytes of damage ``number``, a function of its number alone."""
    draw = random.Random(number)
    # Most of a small file are numbers; half of the damages go to the structures before them.
    at = draw.randrange(len(whole) if number % 2 else len(whole) // 2)
    kind = draw.choices(("flip", "byte", "run", "cut"), (5, 2, 2, 1))[0]
    if kind == "cut":
        return kind, whole[:at]
    content = bytearray(whole)
    if kind == "flip":
        content[at] ^= 1 << draw.randrange(8)
    elif kind == "byte":
        content[at] = draw.randrange(256)
    else:
        part = content[at : at + draw.randrange(2, 64)]
        content[at : at + len(part)] = draw.randbytes(len(part))
    return kind, bytes(content)


def outcome(path: Path, whole: bytes, sound: str, number: int) -> dict[str, object]:
    """Open the file with damage ``number``: "told", "same" content, or "other" content."""
    kind, content = damaged(whole, number)
    path.write_bytes(content)
    began = time.monotonic()
    try:
        result = "same" if open_features(path).hash == sound else "other"
        said = ""
    except UserError as error:
        result, said = "told", str(error)
        assert "\n" not in said, said
    seconds = time.monotonic() - began
    assert seconds < SLOW, (number, kind, seconds)
    limit = "does not open it within" in said
    return {"number": number, "kind": kind, "result": result, "limit": limit}


def campaign(folder: Path, number: int, *, make=write) -> Counter:
    """Do the damages that are left of ``number``, and count the outcomes of all."""
    folder.mkdir(parents=True, exist_ok=True)
    log, path = folder / "damages.jsonl", folder / "mine.h5"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    whole = make(folder / "sound.h5").read_bytes()
    sound = open_features(folder / "sound.h5").hash
    with log.open("a") as file, forked_hdf5():
        for next_one in range(len(lines), number):
            lines.append(outcome(path, whole, sound, next_one))
            file.write(json.dumps(lines[-1]) + "\n")
            file.flush()
    counts = Counter(str(line["result"]) for line in lines)
    counts["limit"] = sum(bool(line["limit"]) for line in lines)
    return counts


if __name__ == "__main__":
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    print(dict(campaign(Path(sys.argv[1]), count)))
