"""All that a rehearsal finds out about a run, as plain numbers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasd.config import Config
from tasd.training.clock import Seconds


@dataclass(frozen=True)
class Disk:
    """Bytes of a run's checkpoints.

    last, best: of one file. most: an upper bound of all while the run is written. end: of all when
    it has ended. free: on the disk of the run, now.
    """

    last: int
    best: int
    most: int
    end: int
    free: int


@dataclass(frozen=True)
class Validated:
    """The videos that a run is validated on.

    times: validations of the run. networks: validated each time. seconds: of one validation of
    all networks.
    """

    way: int
    shot: int
    classes: int
    videos: int
    episodes: int
    times: int
    networks: int
    seconds: Seconds


@dataclass(frozen=True)
class Rehearsal:
    """All that is known of a run before it begins.

    weights_here: False where the run would download them first. episodes: those to come, which are
    fewer than config.training.episodes for a run that is resumed. episode: the time of one, without
    gradient norms. seconds: of the whole run. memory: peak of the rehearsal in bytes, of the GPU's
    memory where it computes, else of this process with the copy for saves.
    remarks: what the run would say before its first step.
    """

    run: Path
    config: Config
    store: Path
    device: str
    ranks: int
    threads: int
    weights_here: bool
    episodes: int
    episode: Seconds
    seconds: Seconds
    memory: int
    disk: Disk
    validation: Validated
    remarks: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "format": "tasd-rehearsal",
            "version": 1,
            **asdict(self),
            "run": str(self.run),
            "store": str(self.store),
            "config": self.config.model_dump(),
            "hours": self.seconds.clock / 3600,
        }
