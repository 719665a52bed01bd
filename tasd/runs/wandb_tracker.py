"""Weights & Biases, online or offline."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import UInt8

from tasd.runs.tracker import End, Start, Table, Tracker, reason

PROJECT = "tasd"
SECONDS_TO_ANSWER = 30.0
AXIS = "episode"


class WeightsAndBiases:
    """A run of W&B. Offline its files lie in ``wandb/`` of the run, for ``wandb sync``.

    Offline is what WANDB_MODE says; it is also the mode without a login, since W&B would wait for
    one, and where the server does not answer.
    """

    def __init__(self, start: Start) -> None:
        import wandb

        self._wandb: Any = wandb
        self._known = start.known
        self._off = os.environ.get("WANDB_MODE") == "disabled"
        self._why = "" if os.environ.get("WANDB_MODE") or _has_login() else "no login"
        try:
            self._run: Any = self._begun(start, mode="offline" if self._why else None)
        except wandb.errors.CommError as error:
            self._why = reason(error)
            self._run = self._begun(start, mode="offline")
        self._run.define_metric(AXIS)
        self._run.define_metric("*", step_metric=AXIS)

    def _begun(self, start: Start, *, mode: Any) -> Any:
        known = {name: start.known.get(name) or None for name in ("id", "entity")}
        project = start.known.get("project") or os.environ.get("WANDB_PROJECT", PROJECT)
        offline = (mode or os.environ.get("WANDB_MODE")) == "offline"
        return self._wandb.init(
            **known,
            project=project,
            name=start.name,
            dir=str(start.folder),
            resume=None if offline else "allow",  # offline, sync joins files of one id
            mode=mode,
            settings=self._wandb.Settings(
                silent=True, console="off", init_timeout=SECONDS_TO_ANSWER
            ),
        )

    @property
    def identity(self) -> Mapping[str, str]:
        """The run's id, project and entity."""
        if self._off:
            return self._known
        found = {"id": self._run.id, "project": self._run.project, "entity": self._run.entity}
        return {name: value for name, value in found.items() if value}

    @property
    def place(self) -> str:
        """The run's page, or the command that sends it."""
        if self._off:
            return "W&B: switched off by WANDB_MODE=disabled"
        if not self._run.offline:
            return f"W&B: {self._run.url}"
        why = f" ({self._why})" if self._why else ""
        return f"W&B: kept offline{why}; wandb sync {Path(self._run.dir).parent} sends it"

    def numbers(self, values: Mapping[str, float], *, episode: int) -> None:
        """Add a value of each series."""
        self._run.log({**values, AXIS: episode})

    def picture(
        self, name: str, image: UInt8[np.ndarray, "height width 3"], *, episode: int
    ) -> None:
        """Add a picture of a series."""
        self._run.log({name: self._wandb.Image(image), AXIS: episode})

    def config(self, values: Mapping[str, Any]) -> None:
        """Set the settings of the run."""
        self._run.config.update(dict(values), allow_val_change=True)

    def table(self, name: str, table: Table) -> None:
        """Add a table."""
        rows = [list(row) for row in table.rows]
        self._run.log({name: self._wandb.Table(columns=list(table.columns), data=rows)})

    def finish(self, end: End) -> None:
        """Send what is left; a run that did not finish is marked as failed."""
        self._run.finish(exit_code=0 if end == "finished" else 1)


def open_wandb(start: Start) -> Tracker:
    """Open a run of W&B, new or known."""
    return WeightsAndBiases(start)


def _has_login() -> bool:
    """True where a key is in the environment or in .netrc, where ``wandb login`` puts it."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    files = (os.environ.get("NETRC"), "~/.netrc", "~/_netrc")
    for path in (Path(name).expanduser() for name in files if name):
        try:
            if netrc.netrc(path).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False
