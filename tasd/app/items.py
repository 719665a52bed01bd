"""The things on the page: clips, classes and questions, with their form as JSON."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tasd.predict.clips import ClipFeatures
from tasd.predict.windows import Windows

State = Literal["waiting", "reading", "ready", "failed"]


def new_id() -> str:
    """Return a name that cannot be guessed."""
    return secrets.token_hex(8)


@dataclass
class Clip:
    """A clip. seconds: of each thumbnail. problem: the reason of a clip that cannot be read."""

    name: str
    path: Path
    id: str = field(default_factory=new_id)
    state: State = "waiting"
    seconds: tuple[float, ...] = ()
    problem: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return all that the page shows."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "seconds": [round(second, 2) for second in self.seconds],
            "problem": self.problem,
            "note": self.note,
        }


@dataclass
class ClassItem:
    """A class and its examples."""

    name: str
    id: str = field(default_factory=new_id)
    clips: list[Clip] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """True where it has an example that is read, or may be."""
        return any(clip.state != "failed" for clip in self.clips)

    def as_json(self) -> dict[str, Any]:
        """Return all that the page shows."""
        clips = [clip.as_json() for clip in self.clips]
        return {"id": self.id, "name": self.name, "clips": clips}


@dataclass
class Question:
    """A clip that was asked about, and its answer.

    reading: its features, to answer again without decoding; not of windows. learnt: the id of the
    example that it became. change: the number of the examples' state that the answer is from.
    """

    clip: Clip
    windows: Windows | None = None
    reading: ClipFeatures | None = None
    answer: dict[str, Any] | None = None
    learnt: str = ""
    change: int = -1

    @property
    def id(self) -> str:
        """That of its clip."""
        return self.clip.id

    def as_json(self, change: int) -> dict[str, Any]:
        """Return all that the page shows. change: that of the examples now."""
        windows = None if self.windows is None else self.windows.length
        return {
            **self.clip.as_json(),
            "answer": self.answer,
            "learnt": self.learnt,
            "window": windows,
            "old": self.answer is not None and self.change != change,
        }
