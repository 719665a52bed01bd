"""Tracking of a run by several trackers, of which none can end the training."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from tasd.errors import UserError
from tasd.files import read_json, write_json
from tasd.foreign import remark
from tasd.registry import pick
from tasd.runs.environment import version
from tasd.runs.mlflow_tracker import open_mlflow
from tasd.runs.tensorboard_tracker import open_tensorboard
from tasd.runs.tracker import End, Start, Table, Tracker, reason
from tasd.runs.wandb_tracker import open_wandb

FORMAT, VERSION = "tasd-tracking", 1
FILE = "tracking.json"  # in a run
DEFAULT = ("tensorboard",)


@dataclass(frozen=True)
class Kind:
    """A tracker that may be asked for: its opener, its package with the least major version.

    install: the words that install it.
    """

    open: Callable[[Start], Tracker]
    package: str
    least: int
    install: str


TRACKERS = {
    "tensorboard": Kind(open_tensorboard, "tensorboard", 2, "pip install tensorboard"),
    "wandb": Kind(open_wandb, "wandb", 0, "pip install -c constraints.txt wandb"),
    # Not with -c: its newest version needs older packages than constraints.txt names, and pip
    # would fall back to one of 2022 without a word.
    "mlflow": Kind(open_mlflow, "mlflow", 3, "pip install 'mlflow>=3', without -c constraints.txt"),
}


def trackers_called(text: str) -> tuple[str, ...]:
    """Read ``"tensorboard,wandb"``, or ``"none"``.

    Raises `UserError` for a name that is unknown, and where a package is missing or too old.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if names == ("none",):
        return ()
    if "none" in names:
        raise UserError(f"--log {text}: 'none' stands alone; leave it out, or the others")
    for name in names:
        kind = pick({**TRACKERS, "none": None}, name, what="tracker of --log")
        assert kind is not None
        found = version(kind.package)
        if importlib.util.find_spec(kind.package) is None:
            raise UserError(
                f"--log {name}: the package {kind.package} is not installed; {kind.install}, or "
                "leave it out"
            )
        if found is not None and int(found.partition(".")[0]) < kind.least:
            raise UserError(
                f"--log {name}: {kind.package} {found} is installed, and this needs "
                f"{kind.least} or newer; {kind.install}"
            )
    return names


@dataclass(frozen=True)
class Tracked:
    """The content of tracking.json: the trackers in use, and what finds their runs again."""

    names: tuple[str, ...]
    known: Mapping[str, Mapping[str, str]]


def read_tracked(folder: Path) -> Tracked | None:
    """Read the file of a run; None where there is none. Raises `UserError` for a damaged one."""
    path = folder / FILE
    if not path.exists():
        return None
    way_out = f"delete it, and --resume {folder} --log NAMES begins new tracked runs"
    content = read_json(
        path, format=FORMAT, version=VERSION, what="the file of a run's trackers", way_out=way_out
    )
    try:
        known = {
            str(name): {str(key): str(value) for key, value in found.items()}
            for name, found in content["known"].items()
        }
        return Tracked(tuple(pick_names(content["log"])), known)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); {way_out}") from None


def pick_names(names: Sequence[str]) -> list[str]:
    """Return the names; raise `ValueError` for one that is no tracker."""
    unknown = [name for name in names if name not in TRACKERS]
    if unknown:
        raise ValueError(unknown[0])
    return list(names)


class Tracking:
    """The open trackers of a run; nothing that goes wrong with one of them is raised.

    names: None for those that the run was last tracked with, at first `DEFAULT`. say: prints a
    line. episode, adds: as of `Start`. A tracker that fails is left out from then on, which is
    said in one line.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str] | None = None,
        *,
        say: Callable[[str], None] = remark,
        episode: int = 0,
        adds: bool = False,
    ) -> None:
        self._folder, self._say = folder, say
        self._what = "the result" if adds else "training"
        before = self._before()
        self.names = tuple(names) if names is not None else before.names
        known = {name: before.known.get(name, {}) for name in (*self.names, *before.known)}
        self._open: dict[str, Tracker] = {}
        for name in self.names:
            start = Start(folder, folder.resolve().name, episode, known[name], adds)
            try:
                self._open[name] = TRACKERS[name].open(start)
                known[name] = dict(self._open[name].identity)
                place = self._open[name].place
            except Exception as error:
                self._lost(name, error)
            else:
                if place:
                    self._say(place)
        if not adds or known != before.known:
            self._write(known)

    def _write(self, known: Mapping[str, Mapping[str, str]]) -> None:
        content = {"format": FORMAT, "version": VERSION, "log": self.names, "known": known}
        try:
            write_json(self._folder / FILE, content, indent=1)
        except UserError as error:
            self._say(str(error))

    def _before(self) -> Tracked:
        try:
            return read_tracked(self._folder) or Tracked(DEFAULT, {})
        except UserError as error:
            self._say(str(error))
            return Tracked(DEFAULT, {})

    def config(self, values: Mapping[str, Any]) -> None:
        """Set the settings of the run."""
        self._each(lambda tracker: tracker.config(values))

    def numbers(self, values: Mapping[str, float], *, episode: int) -> None:
        """Add a value of each series."""
        self._each(lambda tracker: tracker.numbers(values, episode=episode))

    def picture(
        self, name: str, image: UInt8[np.ndarray, "height width 3"], *, episode: int
    ) -> None:
        """Add a picture of a series."""
        self._each(lambda tracker: tracker.picture(name, image, episode=episode))

    def table(self, name: str, table: Table) -> None:
        """Add a table."""
        self._each(lambda tracker: tracker.table(name, table))

    def finish(self, end: End) -> None:
        """Send what is left, and close all."""
        self._each(lambda tracker: tracker.finish(end))
        self._open = {}

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            try:
                act(tracker)
            except Exception as error:
                self._lost(name, error)

    def _lost(self, name: str, error: Exception) -> None:
        self._open.pop(name, None)
        self._say(f"--log {name}: {reason(error)}; {self._what} goes on without it")
