"""A small demo that stops itself at one moment after another, each time in a new process.

``python -m tests.demo.stopped FOLDER MOMENT...`` forks, so that torch is imported once. Each child
runs the same demo in FOLDER and is killed at its moment; then the demo runs to its end.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rich.console import Console

from prep.progress import ProgressBar
from tasd.demo import generate, outcome, run
from tasd.demo.actions import ACTIONS
from tasd.demo.folder import Scale
from tasd.runs.folder import Run
from tasd.training.saver import Saver

FEW = tuple(
    action
    for split in ("train", "val", "test")
    for action in [action for action in ACTIONS if action.split == split][:5]
)
TINY = Scale(per_class=4, episodes=4, validation_every=2, test_episodes=200)


def small_demo(out: Path) -> outcome.Outcome:
    """The whole demo, with little of everything."""
    torch.set_num_threads(1)
    quiet = Console(quiet=True)
    with mock.patch.object(generate, "ACTIONS", FEW):
        return run.demo(out, quick=False, seed=0, device="cpu", console=quiet, scale=TINY)


# A name of what is called, and the number of the call at whose begin the demo stops.
MOMENTS: dict[str, tuple[Any, str, int]] = {
    "at the first video": (generate, "encode", 1),
    "amid the videos": (generate, "encode", 30),
    "after the videos, before the list of classes": (generate, "write_json", 1),
    "before the store": (run, "prepare", 1),
    "amid the store": (ProgressBar, "advance", 2),
    "before training": (run, "train", 1),
    "in an empty run": (Run, "begin", 1),
    "before the first checkpoint": (Saver, "untrained", 1),
    "amid training": (Run, "write_metrics", 4),
    "before the test": (run, "test_network", 1),
    "amid the test": (outcome, "score", 2),
    "before the report": (outcome, "write_report", 1),
    "before the outcome": (outcome, "write_json", 1),
}


def kill_at(moment: str) -> None:
    """Let this process be killed at this moment of a demo."""
    owner, name, number = MOMENTS[moment]
    original, calls = getattr(owner, name), []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    setattr(owner, name, counted)


def main() -> None:
    folder = Path(sys.argv[1])
    for moment in sys.argv[2:]:
        child = os.fork()
        if not child:
            kill_at(moment)
            small_demo(folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended = os.waitstatus_to_exitcode(status)
        assert ended == -signal.SIGKILL, f"{moment}: the demo ended with {ended}"
    small_demo(folder)


if __name__ == "__main__":
    main()
