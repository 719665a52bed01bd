"""Hours and hardware of runs, from their environment.json and their logs."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasd.foreign import open_regular
from tasd.progress import duration
from tasd.report.markup import plain_table
from tasd.report.outcome import Outcome
from tasd.runs.folder import Run

HEADER = ("run", "episodes", "time", "devices", "cores", "torch", "python", "system", "commit")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Spent:
    """Episodes and time that a run took, and the machine it began on.

    seconds: of training and validation; None where the log does not tell.
    """

    name: str
    episodes: int
    seconds: float | None
    environment: Mapping[str, Any]


def spent(outcome: Outcome) -> Spent:
    """Read hours and hardware of a run; what cannot be read is left out."""
    lines = [line for line in outcome.run.read_metrics() if line["kind"] == "train"]
    episodes = max((line["episode"] for line in lines), default=0)
    told = [line.get("seconds") for line in lines]
    known = [
        float(value) for value in told if isinstance(value, int | float) and 0 <= value < math.inf
    ]
    seconds = sum(known) if lines and len(known) == len(lines) else None
    return Spent(outcome.name, episodes, seconds, _environment(outcome.run))


def hardware_table(outcomes: Sequence[Outcome]) -> str:
    """Return a table of hours and hardware as HTML."""
    rows = [_row(spent(outcome)) for outcome in outcomes]
    return plain_table(HEADER, rows, label="hours and hardware")


def _environment(run: Run) -> Mapping[str, Any]:
    try:
        with open_regular(run.path / "environment.json") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _row(one: Spent) -> tuple[str, ...]:
    said = one.environment
    packages = said.get("packages")
    torch = packages.get("torch") if isinstance(packages, dict) else None
    commit = said.get("commit")
    return (
        one.name,
        f"{one.episodes:,}",
        UNKNOWN if one.seconds is None else duration(one.seconds),
        _devices(said.get("gpus")),
        str(said.get("cpus") or UNKNOWN),
        str(torch or UNKNOWN),
        str(said.get("python") or UNKNOWN),
        str(said.get("platform") or UNKNOWN),
        commit[:12] if isinstance(commit, str) else UNKNOWN,
    )


def _devices(gpus: object) -> str:
    """Return the GPUs of a machine, as in "2 x NVIDIA H100"; "CPU" where it has none."""
    if not isinstance(gpus, list):
        return UNKNOWN
    names = list(map(str, gpus))
    kinds = dict.fromkeys(names)
    return ", ".join(f"{names.count(name)} x {name}" for name in kinds) or "CPU"
