"""Lines of a campaign that goes on where it stopped, and its numbers."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class CampaignLog:
    """FOLDER/NAME.jsonl: one line for each case that is done, a function of its number."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.jsonl"
        text = self.path.read_text() if self.path.exists() else ""
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]

    def left(self, count: int) -> Iterator[int]:
        """Return the numbers of the cases that are not done."""
        return iter(range(len(self.lines), count))

    def add(self, **line: Any) -> None:
        """Note a case."""
        self.lines.append(line)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def number_of(name: str, default: int) -> int:
    """Return the number of cases: $TASD_KILLS and others, or that of the issue."""
    return int(os.environ.get(f"TASD_{name}", default))


def folder_of(default: Path) -> Path:
    """Return $TASD_CAMPAIGN, in which a campaign that was stopped goes on, or ``default``."""
    return Path(os.environ.get("TASD_CAMPAIGN", default))
