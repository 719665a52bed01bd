"""What is said and written down while a run goes on: live line, metrics.jsonl, TensorBoard."""

import itertools
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from rich.console import Console

from tasd.progress import ProgressLine, duration
from tasd.runs.folder import Run
from tasd.training.distributed import World
from tasd.types import Losses


@dataclass(frozen=True)
class StepMetrics:
    """Means over the episodes of a step, with no graph behind them.

    terms: name -> raw and weighted value. relation_share: ||phi(A) - A|| / ||A||.
    """

    loss: float
    accuracy: float
    terms: dict[str, dict[str, float]]
    relation_share: float | None

    @property
    def record(self) -> dict[str, Any]:
        """What a line of metrics.jsonl holds of them."""
        line: dict[str, Any] = {"loss": self.loss, "accuracy": self.accuracy, "terms": self.terms}
        if self.relation_share is not None:
            line["relation_share"] = self.relation_share
        return line


def step_metrics(losses: list[Losses], weights: dict[str, float], *, world: World) -> StepMetrics:
    """The figures of a step, over the episodes of all ranks."""
    shares = [loss.relation_share for loss in losses if loss.relation_share is not None]
    rows = {
        "loss": [loss.total for loss in losses],
        "accuracy": [loss.accuracy for loss in losses],
        **{f"term {name}": [loss.terms[name] for loss in losses] for name in losses[0].terms},
        **({"relation_share": shares} if shares else {}),
    }
    values = iter(torch.stack([v.detach().double() for row in rows.values() for v in row]).tolist())
    means = [sum(itertools.islice(values, len(row))) / len(row) for row in rows.values()]
    over_ranks = world.mean(torch.tensor(means, dtype=torch.float64, device=world.device))
    found = dict(zip(rows, over_ranks.tolist(), strict=True))
    raw = {name: found[f"term {name}"] for name in losses[0].terms}
    return StepMetrics(
        loss=found["loss"],
        accuracy=found["accuracy"],
        terms={name: {"raw": v, "weighted": weights[name] * v} for name, v in raw.items()},
        relation_share=found.get("relation_share"),
    )


class RunLog:
    """The one place that a run reports to; silent on every rank but the first."""

    def __init__(self, run: Run, episodes: int, *, done: int, speaks: bool, console: Console):
        self.run, self.episodes, self.console, self.silent = run, episodes, console, not speaks
        self._first, self._expected = done, 1.0
        self._recent: deque[StepMetrics] = deque(maxlen=50)
        self._moments: deque[tuple[float, int]] = deque(maxlen=50)
        self._board: Any = None
        self._line = ProgressLine(console, bar=False, at_once=True, silent=self.silent)

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
        """One line, once."""
        self._line.say(text)

    def expect(self, seconds_per_episode: float) -> None:
        """Tell before the first step how long it will take."""
        self._expected = seconds_per_episode
        left = (self.episodes - self._first) * seconds_per_episode
        self.say(
            f"about {seconds_per_episode:.2f} s an episode; {self.episodes - self._first:,} "
            f"episodes will take about {duration(left)}, validation not counted"
        )

    def record(self, kind: str, episode: int, **values: Any) -> None:
        """A line of metrics.jsonl, and its numbers for TensorBoard."""
        if self.silent:
            return
        self.run.write_metrics({"kind": kind, "episode": episode, **values})
        for name, value in _numbers(values):
            self._board.add_scalar(f"{kind}/{name}", value, episode)

    def picture(self, name: str, episode: int, image: Any) -> None:
        """An image (height, width, 3) for TensorBoard."""
        if not self.silent:
            self._board.add_image(name, image, episode, dataformats="HWC")

    def step(self, episode: int, numbers: StepMetrics, *, wait_share: float) -> None:
        """Move the live line on."""
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
        """The weighted value of a loss term over the last steps: their sum is the loss."""
        return sum(step.terms[term]["weighted"] for step in self._recent) / len(self._recent)


def _numbers(values: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            found.append((prefix + name, float(value)))
    return found
