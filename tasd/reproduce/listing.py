"""The runs of a study with what is left of them: progress, time and disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasd.progress import counted, duration
from tasd.reproduce.estimate import Cost
from tasd.reproduce.runs import PlannedRun, Progress


@dataclass(frozen=True)
class RowCost:
    """The runs of a row that are not trained, their hours on one device, their bytes of disk."""

    runs: int
    hours: float
    disk: int


@dataclass(frozen=True)
class Listing:
    """The runs of a study with their progress, and the time and disk that are left.

    costs: of each row that is not trained, by the row's name.
    """

    runs: Sequence[tuple[PlannedRun, Progress]]
    costs: Mapping[str, Cost]

    def _seconds_left(self, plan: PlannedRun, progress: Progress) -> float:
        if not progress.needs_training:
            return 0.0
        return (plan.config.training.episodes - progress.episode) * self.costs[
            plan.row.name
        ].seconds

    @property
    def lines(self) -> list[str]:
        """A line of text for each run, and one for the training time of all."""
        width = max(len(plan.name) for plan, _ in self.runs)
        lines, total = [], 0.0
        for plan, progress in self.runs:
            left = self._seconds_left(plan, progress)
            time = f", about {duration(left)}" if left else ""
            lines.append(f"{plan.name:<{width}}  {_work_left(plan, progress)}{time}")
            total += left
        summary = f"training will take about {duration(total)}, without validation and tests"
        return [*lines, summary, *self._row_lines]

    @property
    def _row_lines(self) -> list[str]:
        """A line for each row: hours of one device, and disk for all its runs."""
        width = max((len(name) for name in self.rows), default=0)
        return [
            f"  {name:<{width}}  {counted(row.runs, 'run')}, {row.hours:.2f} GPU-hours (hours of "
            f"one device), {row.disk / 2**20:,.0f} MiB of checkpoints at most"
            for name, row in self.rows.items()
        ]

    @property
    def rows(self) -> dict[str, RowCost]:
        """The cost of each row, over its runs that are not trained."""
        found: dict[str, RowCost] = {}
        for plan, progress in self.runs:
            if progress.needs_training:
                row = found.get(plan.row.name, RowCost(0, 0.0, 0))
                hours = row.hours + self._seconds_left(plan, progress) / 3600
                disk = row.disk + self.costs[plan.row.name].disk
                found[plan.row.name] = RowCost(row.runs + 1, hours, disk)
        return found

    @property
    def document(self) -> list[dict[str, Any]]:
        """The same as plain data."""
        return [
            {
                "run": str(plan.run.path),
                "state": progress.state,
                "episode": progress.episode,
                "episodes": plan.config.training.episodes,
                "seconds_left": self._seconds_left(plan, progress),
                "disk": self.costs[plan.row.name].disk if progress.needs_training else 0,
            }
            for plan, progress in self.runs
        ]


def _work_left(plan: PlannedRun, progress: Progress) -> str:
    episodes = f"{plan.config.training.episodes:,}"
    return {
        "new": f"train {episodes} episodes, test",
        "begun": f"continue from episode {progress.episode:,} of {episodes}, test",
        "trained": f"test ({episodes} episodes are trained)",
        "done": "done",
    }[progress.state]
