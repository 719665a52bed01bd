"""The state of a run as another process sees it: its writer, its progress, its loss."""

import math
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tasd.progress import counted, duration
from tasd.runs.folder import Run
from tasd.runs.lock import writer_of

RECENT = 50  # steps whose mean is shown


def state_of(
    run: Run, lines: Sequence[Mapping[str, Any]], *, episodes: int, now: float | None = None
) -> list[str]:
    """Return a line on who writes the run, and one on its progress. Nothing is written.

    lines: of its metrics. episodes: of the whole run. now: seconds as of `time.time`.
    """
    done = max((line["episode"] for line in lines), default=0)
    writer = writer_of(run.path)
    return [_state(run, done, episodes, writer), *_progress(run, lines, done, episodes, now)]


def _state(run: Run, done: int, episodes: int, writer: tuple[str, str]) -> str:
    state, who = writer
    if state == "alive":
        return f"the run is being trained by {who}"
    if state == "elsewhere":
        return f"the run is being trained, or was killed, by {who}: that cannot be seen from here"
    if done >= episodes:
        return f"the run has ended: tasd evaluate --run {run.path} tests it"
    what = "was killed" if state == "killed" else "was stopped"
    by = f" ({who})" if who else ""
    return f"the run {what} at episode {done:,}{by}; {goes_on(run)}"


def goes_on(run: Run) -> str:
    """Return the command that takes up a run, as part of a sentence."""
    return f"{shlex.join(['tasd', 'train', '--resume', str(run.path)])} goes on"


def _progress(
    run: Run, lines: Sequence[Mapping[str, Any]], done: int, episodes: int, now: float | None
) -> list[str]:
    text = f"{done:,} of {counted(episodes, 'episode')} done"
    steps = [line for line in lines if line["kind"] == "train"][-RECENT:]
    if steps:
        text += f", loss {_mean(steps, 'loss'):.3f}, accuracy {_mean(steps, 'accuracy'):.1%}"
    if run.metrics.exists():
        ago = (time.time() if now is None else now) - run.metrics.stat().st_mtime
        text += f"; last line {duration(max(0.0, ago))} ago"
    return [text]


def _mean(lines: Sequence[Mapping[str, Any]], name: str) -> float:
    finite = [line[name] for line in lines if math.isfinite(line[name])]
    return sum(finite) / len(finite) if finite else math.nan
