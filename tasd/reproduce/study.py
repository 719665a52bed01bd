"""A table from its rows to its files: list, rehearse, run what is left, tell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from tasd.device import pick_device
from tasd.errors import UserError
from tasd.evaluation.episodes import EpisodeRequest
from tasd.files import write_text
from tasd.progress import duration
from tasd.report.tables import Table, markdown
from tasd.reproduce.estimate import step_seconds
from tasd.reproduce.rows import Row
from tasd.reproduce.runs import (
    Planned,
    Progress,
    carry_out,
    curve_of,
    planned,
    result_of,
    standing,
)
from tasd.reproduce.tables import Finished, document, tables_of
from tasd.store import Store


@dataclass(frozen=True)
class Study:
    """What is to be done: a table's rows on a store.

    folder: of the runs and of what is told. count, queries: of the test episodes, whose way and
    shot are those of training. curve: also test the checkpoints kept at every validation.
    """

    table: str
    rows: Sequence[Row]
    store: Store
    folder: Path
    seeds: int = 1
    count: int = 10_000
    queries: int = 1
    curve: bool = False
    device: str = "auto"

    @property
    def plans(self) -> list[Planned]:
        """All runs, in the order in which they are done."""
        return planned(self.rows, seeds=self.seeds, folder=self.folder)

    @property
    def shape(self) -> EpisodeRequest:
        """The test episodes, the same for all runs."""
        episode = self.rows[0].config.episode
        return EpisodeRequest(episode.way, episode.shot, self.queries, self.count)


@dataclass(frozen=True)
class Listing:
    """What will run: each run, how far it is, and seconds for an episode of its training."""

    plans: Sequence[Planned]
    standings: Sequence[Progress]
    seconds: Mapping[str, float]

    @property
    def left(self) -> float:
        """Seconds of training still to be done."""
        pairs = zip(self.plans, self.standings, strict=True)
        return sum(self._left(plan, now) for plan, now in pairs)

    def _left(self, plan: Planned, now: Progress) -> float:
        if now.state not in ("new", "begun"):
            return 0.0
        return (plan.config.training.episodes - now.episode) * self.seconds[plan.row.name]

    @property
    def lines(self) -> list[str]:
        """For a person to read."""
        width = max(len(plan.name) for plan in self.plans)
        told = [
            f"{plan.name:<{width}}  {_told(plan, now)}"
            + (f", about {duration(self._left(plan, now))}" if self._left(plan, now) else "")
            for plan, now in zip(self.plans, self.standings, strict=True)
        ]
        total = duration(self.left)
        return [*told, f"training will take about {total}, validation and tests not counted"]

    @property
    def document(self) -> list[dict[str, Any]]:
        """The same as plain data."""
        return [
            {
                "run": str(plan.run.path),
                "state": now.state,
                "episode": now.episode,
                "episodes": plan.config.training.episodes,
                "seconds_left": self._left(plan, now),
            }
            for plan, now in zip(self.plans, self.standings, strict=True)
        ]


def _told(plan: Planned, now: Progress) -> str:
    episodes = f"{plan.config.training.episodes:,}"
    return {
        "new": f"train {episodes} episodes, test",
        "begun": f"go on from episode {now.episode:,} of {episodes}, test",
        "trained": f"test ({episodes} episodes are trained)",
        "done": "done",
    }[now.state]


def listing(study: Study) -> Listing:
    """What is left to do, and how long it will take. Raises `UserError` before anything is run."""
    plans = study.plans
    standings = [standing(plan, study.shape) for plan in plans]
    open_ = [
        plan for plan, now in zip(plans, standings, strict=True) if now.state in ("new", "begun")
    ]
    seconds = step_seconds(open_, study.store, device=study.device)
    return Listing(plans, standings, seconds)


@dataclass(frozen=True)
class StudyResult:
    """What came of a study. failed: why, by the name of the run. exit_code: of a signal, or 1."""

    runs: Sequence[Finished]
    tables: Sequence[Table]
    document: Mapping[str, Any]
    failed: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0


def run_study(study: Study, console: Console) -> StudyResult:
    """Do every run that is not done, then tell of all; a run that fails does not end the others."""
    failed: dict[str, str] = {}
    device, code = str(pick_device(study.device)), 0
    plans = study.plans
    for number, plan in enumerate(plans, start=1):
        console.print(f"\n{number}/{len(plans)} {plan.name}", highlight=False)
        try:
            code = carry_out(
                plan, study.store, study.shape, device=device, console=console, curve=study.curve
            )
        except UserError as error:
            failed[plan.name] = str(error)
            console.print(f"{plan.name} failed: {error}", highlight=False, soft_wrap=True)
        if code:
            console.print("the same command goes on from here", highlight=False)
            break
    told = _tell(study, failed)
    return StudyResult(told.runs, told.tables, told.document, failed, code or int(bool(failed)))


def _tell(study: Study, failed: Mapping[str, str]) -> StudyResult:
    """Tables of the runs that are done, also as files in the folder."""
    runs = []
    for plan in study.plans:
        result = result_of(plan.run, study.shape)
        if result is not None and plan.name not in failed:
            runs.append(Finished(plan, result, curve_of(plan.run, study.shape)))
    if not runs:
        return StudyResult((), (), {})
    _check_episodes(runs)
    made = tables_of(study.table, runs)
    content = document(study.table, runs, made) | {"failed": dict(failed)}
    write_text(study.folder / f"{study.table}.json", json.dumps(content, ensure_ascii=False))
    write_text(study.folder / f"{study.table}.md", "\n".join(map(markdown, made)))
    return StudyResult(runs, made, content)


def _check_episodes(runs: Sequence[Finished]) -> None:
    """All on the very same test episodes."""
    sums = {run.plan.name: run.result["episodes"]["sha256"] for run in runs}
    if len(set(sums.values())) > 1:
        raise UserError(
            f"the runs were tested on other episodes ({', '.join(sums)}): the store has changed "
            "between them; give another --out"
        )
