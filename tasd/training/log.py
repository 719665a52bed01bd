"""Progress and metrics of a run: live line, metrics.jsonl, trackers."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import UInt8
from rich.console import Console

from tasd.loader import EpisodeLoader
from tasd.progress import ProgressLine, counted, duration
from tasd.runs.folder import Run
from tasd.runs.tracker import End
from tasd.runs.tracking import Tracking
from tasd.training.step import StepMetrics, StepResult


class RunLog:
    """The output of a run: silent on every rank but the first.

    trackers: by name; None for those that the run was last tracked with.
    """

    def __init__(
        self,
        run: Run,
        episodes: int,
        *,
        done: int,
        speaks: bool,
        console: Console,
        trackers: Sequence[str] | None = None,
    ) -> None:
        self.run, self.episodes, self.console, self.silent = run, episodes, console, not speaks
        self._first, self._expected = done, 1.0
        self._since = time.monotonic()
        self._recent: deque[StepMetrics] = deque(maxlen=50)
        self._moments: deque[tuple[float, int]] = deque(maxlen=50)
        self._trackers, self._last = trackers, done
        self._tracking: Tracking | None = None
        self._line = ProgressLine(console, at_once=True, silent=self.silent)

    def __enter__(self) -> "RunLog":
        if not self.silent:
            self._tracking = Tracking(
                self.run.path, self._trackers, say=self.say, episode=self._first
            )
        self._line.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.__exit__(kind, error, trace)
        if self._tracking is not None:
            done: End = "finished" if self._last >= self.episodes else "stopped"
            self._tracking.finish(done if kind is None else "failed")

    def say(self, text: str) -> None:
        """Print one line."""
        self._line.say(text)

    def phase(self, text: str) -> None:
        """Show what is done now: on a terminal beside the bar, elsewhere as a line."""
        if self.console.is_terminal:
            self._line.show(text, done=self._first, total=self.episodes)
        else:
            self.say(text)

    def expect(self, seconds_per_episode: float) -> None:
        """Print before the first step how long training will take."""
        self._expected = seconds_per_episode
        left = (self.episodes - self._first) * seconds_per_episode
        self.say(
            f"about {seconds_per_episode:.2f} s an episode; "
            f"{counted(self.episodes - self._first, 'episode')} will take about {duration(left)}, "
            "validation not counted"
        )

    def config(self, values: Mapping[str, Any]) -> None:
        """Tell the trackers the settings of the run."""
        if self._tracking is not None:
            self._tracking.config(values)

    def record(self, kind: str, episode: int, **values: Any) -> None:
        """Write a line of metrics.jsonl, and its numbers for the trackers."""
        if self._tracking is None:
            return
        self.run.write_metrics({"kind": kind, "episode": episode, **values})
        numbers = {f"{kind}/{name}": value for name, value in _numbers(values)}
        self._tracking.numbers(numbers, episode=episode)

    def picture(self, name: str, episode: int, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Give the trackers a picture of a series."""
        if self._tracking is not None:
            self._tracking.picture(name, image, episode=episode)

    def step(self, episode: int, result: StepResult, *, rate: float, wait_share: float) -> None:
        """Record a step and move the live line on.

        rate: the learning rate. wait_share: share of the time that training waited for batches.
        The line also has the seconds since the step before, validation between them included.
        """
        numbers, now = result.metrics, time.monotonic()
        seconds, self._since, self._last = now - self._since, now, episode
        self._show(episode, numbers, wait_share=wait_share)
        self.record(
            "train",
            episode,
            **numbers.record,
            gradient=result.gradient,
            learning_rate=rate,
            wait_share=wait_share,
            seconds=round(seconds, 3),
        )
        if result.gradient_norms:
            self.record("gradients", episode, terms=result.gradient_norms)

    def _show(self, episode: int, numbers: StepMetrics, *, wait_share: float) -> None:
        self._recent.append(numbers)
        now = time.monotonic()
        self._moments.append((now, episode))
        then, before = self._moments[0]
        rate = (episode - before) / (now - then) if now > then else 1 / self._expected
        loss = sum(step.loss for step in self._recent) / len(self._recent)
        accuracy = sum(step.accuracy for step in self._recent) / len(self._recent)
        terms = "  ".join(f"{name} {self._mean(name):.3f}" for name in numbers.terms)
        left = duration((self.episodes - episode) / max(rate, 1e-9))
        text = (
            f"episode {episode:,}/{self.episodes:,}  {left} left  loss {loss:.3f}  "
            f"accuracy {accuracy:.1%}  {rate:.2f} episodes/s  waiting {wait_share:.0%}  ({terms})"
        )
        self._line.show(text, done=episode, total=self.episodes)

    def _mean(self, term: str) -> float:
        """Average a term's weighted value over the last steps: all terms add up to the loss."""
        return sum(step.terms[term]["weighted"] for step in self._recent) / len(self._recent)


class Waiting:
    """The share of time that training waits for the loader, since the last restart."""

    def __init__(self, loader: EpisodeLoader) -> None:
        self._loader = loader
        self.restart()

    def restart(self) -> None:
        """Count from now on."""
        self._began, self._before = time.monotonic(), self._loader.waited

    def share(self) -> float:
        """Return the share, between 0 and 1."""
        waited = self._loader.waited - self._before
        return waited / max(1e-9, time.monotonic() - self._began)


def _numbers(values: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            found.append((prefix + name, float(value)))
    return found
