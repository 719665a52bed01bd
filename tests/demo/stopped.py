"""A small demo that stops itself at one moment after another, each time in a new process.

``python -m tests.demo.stopped FOLDER MOMENT...`` forks, so that torch is imported once. Each child
runs the same demo in FOLDER and is killed at its moment; then the demo runs to its end.
"""

import importlib
import os
import pkgutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.fork_server import NEEDED

if TYPE_CHECKING:  # the processes that prepare the store import this module, and need no torch
    from matplotlib.figure import Figure

    from tasd.demo.outcome import Outcome


def small_demo(out: Path) -> "Outcome":
    """The whole demo, with little of everything."""
    import torch
    from rich.console import Console

    from tasd import report
    from tasd.demo import generate, run
    from tasd.demo.actions import ACTIONS
    from tasd.demo.folder import Scale
    from tasd.files import write_bytes
    from tasd.report.style import figure_bytes

    few = tuple(
        action
        for split in ("train", "val", "test")
        for action in [action for action in ACTIONS if action.split == split][:5]
    )
    tiny = Scale(per_class=4, episodes=4, validation_every=2, test_episodes=200)
    torch.set_num_threads(1)
    quiet = Console(quiet=True)

    def drawn(figure: "Figure", folder: Path, name: str) -> Path:
        """Save a figure of the report small, and not for print: drawing takes most of a demo."""
        path = folder / f"{name}.png"
        write_bytes(path, figure_bytes(figure, "png", dpi=40))
        return path

    with (
        mock.patch.object(generate, "ACTIONS", few),
        mock.patch.object(report, "save", drawn),
    ):
        return run.demo(out, quick=False, seed=0, device="cpu", console=quiet, scale=tiny)


# Where the name of what is called stands, the name, and the number of the call at whose begin the
# demo stops.
MOMENTS: dict[str, tuple[str, str, int]] = {
    "at the first video": ("tasd.demo.generate", "encode", 1),
    "amid the videos": ("tasd.demo.generate", "encode", 30),
    "after the videos, before the list of classes": ("tasd.demo.generate", "write_json", 1),
    "before the store": ("tasd.demo.run", "prepare", 1),
    "amid the store": ("prep.progress:ProgressBar", "advance", 2),
    "before training": ("tasd.demo.run", "train", 1),
    "in an empty run": ("tasd.runs.folder:Run", "begin", 1),
    "before the first checkpoint": ("tasd.training.saver:Saver", "untrained", 1),
    "amid training": ("tasd.runs.folder:Run", "write_metrics", 4),
    "before the test": ("tasd.demo.run", "test_network", 1),
    "amid the test": ("tasd.demo.outcome", "score", 2),
    "before the report": ("tasd.demo.outcome", "write_report", 1),
    "before the outcome": ("tasd.demo.outcome", "write_json", 1),
}


def kill_at(moment: str) -> None:
    """Let this process be killed at this moment of a demo."""
    place, name, number = MOMENTS[moment]
    owner = pkgutil.resolve_name(place)
    original, calls = getattr(owner, name), []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    setattr(owner, name, counted)


def main() -> None:
    for name in ("tasd.demo.run", *NEEDED):  # before the forks, which then need not
        importlib.import_module(name)
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
