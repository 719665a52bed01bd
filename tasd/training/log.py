"""Progress and metrics of a run: live line, metrics.jsonl, TensorBoard."""

import time
from collections import deque
from types import TracebackType
from typing import Any

from rich.console import Console

from tasd.loader import EpisodeLoader
from tasd.progress import ProgressLine, duration
from tasd.runs.folder import Run
from tasd.training.step import StepMetrics, StepResult


class RunLog:
    """The output of a run: silent on every rank but the first."""

    def __init__(self, run: Run, episodes: int, *, done: int, speaks: bool, console: Console):
        self.run, self.episodes, self.console, self.silent = run, episodes, console, not speaks
        self._first, self._expected = done, 1.0
        self._since = time.monotonic()
        self._recent: deque[StepMetrics] = deque(maxlen=50)
        self._moments: deque[tuple[float, int]] = deque(maxlen=50)
        self._board: Any = None
        self._line = ProgressLine(console, at_once=True, silent=self.silent)

    def __enter__(self) -> "RunLog":
        if not self.silent:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.run.path / "tensorboard"), purge_step=self._first)
        self._line.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.__exit__(kind, error, trace)
        if self._board is not None:
            self._board.close()

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
            f"about {seconds_per_episode:.2f} s an episode; {self.episodes - self._first:,} "
            f"episodes will take about {duration(left)}, validation not counted"
        )

    def record(self, kind: str, episode: int, **values: Any) -> None:
        """Write a line of metrics.jsonl, and its numbers for TensorBoard."""
        if self.silent:
            return
        self.run.write_metrics({"kind": kind, "episode": episode, **values})
        for name, value in _numbers(values):
            self._board.add_scalar(f"{kind}/{name}", value, episode)

    def picture(self, name: str, episode: int, image: Any) -> None:
        """Write an image (height, width, 3) for TensorBoard."""
        if not self.silent:
            self._board.add_image(name, image, episode, dataformats="HWC")

    def step(self, episode: int, result: StepResult, *, rate: float, wait_share: float) -> None:
        """Record a step and move the live line on.

        rate: the learning rate. wait_share: share of the time that training waited for batches.
        The line also has the seconds since the step before, validation between them included.
        """
        numbers, now = result.metrics, time.monotonic()
        seconds, self._since = now - self._since, now
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
