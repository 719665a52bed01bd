"""A study of one table: list its runs, do those that are left, write the table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tasd.device import pick_device
from tasd.errors import UserError
from tasd.evaluation.episodes import EpisodeRequest
from tasd.files import as_json, write_text
from tasd.foreign import clean
from tasd.progress import counted
from tasd.report.tables import Table, markdown
from tasd.reproduce.cluster import Answer, Cluster, cluster_of, costs_on
from tasd.reproduce.estimate import costs
from tasd.reproduce.listing import Listing
from tasd.reproduce.rows import Row
from tasd.reproduce.runs import (
    PlannedRun,
    curve_of,
    plan_runs,
    progress_of,
    result_of,
    train_and_test,
)
from tasd.reproduce.tables import FinishedRun, document, tables_of
from tasd.store import Store
from tasd.training.signals import StopSignals


@dataclass(frozen=True)
class Study:
    """The runs of a table on a store.

    folder: for the runs and the tables. seeds: training seeds of each row. count, queries: of the
    test episodes, which have the way and shot of training. curve: also test the checkpoints that
    are kept at every validation. scheduler: of the Dask cluster whose GPUs do the runs; None for
    this machine.
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
    scheduler: str | None = None

    @property
    def plans(self) -> list[PlannedRun]:
        """All runs, in their order."""
        return plan_runs(self.rows, seeds=self.seeds, folder=self.folder)

    @property
    def request(self) -> EpisodeRequest:
        """The test episodes, the same for all runs."""
        episode = self.rows[0].config.episode
        return EpisodeRequest(episode.way, episode.shot, self.queries, self.count)

    @contextmanager
    def cluster(self, plans: Sequence[PlannedRun], *, folder: Path | None) -> Iterator[Cluster]:
        """Connect to the scheduler; folder: None where nothing is written. Raises `UserError`."""
        assert self.scheduler is not None
        with cluster_of(
            self.scheduler,
            plans,
            folder=folder,
            store=self.store,
            request=self.request,
            device=self.device,
            curve=self.curve,
        ) as found:
            yield found


def list_runs(study: Study) -> Listing:
    """List the runs, and time a training step of each row that is not trained.

    Raises `UserError`, before anything is run.
    """
    runs = [(plan, progress_of(plan, study.request)) for plan in study.plans]
    untrained = [plan for plan, progress in runs if progress.needs_training]
    if study.scheduler is None or not untrained:
        return Listing(runs, costs(untrained, study.store, device=study.device))
    with study.cluster(untrained, folder=None) as cluster:
        return Listing(runs, costs_on(cluster, untrained))


@dataclass(frozen=True)
class StudyResult:
    """The finished runs of a study and their tables.

    document: all of it as plain data, empty where no run is finished. failed: the error messages,
    by the name of the run. exit_code: that of the signal that stopped the study, or 1 where a run
    failed.
    """

    runs: Sequence[FinishedRun]
    tables: Sequence[Table]
    document: Mapping[str, Any]
    failed: Mapping[str, str]
    exit_code: int


def run_study(
    study: Study, console: Console, *, after: Callable[[], object] = lambda: None
) -> StudyResult:
    """Do every run that is not done, and write the tables; after a failed run the others go on.

    The tables are also written after each run, of those that are done; then ``after`` is called.
    Raises `UserError`.
    """
    failed: dict[str, str] = {}

    def tell() -> None:
        _write_tables(study, failed, 0)
        after()

    code = (_here if study.scheduler is None else _on_cluster)(study, console, failed, tell)
    return _write_tables(study, failed, code or int(bool(failed)))


def _here(study: Study, console: Console, failed: dict[str, str], tell: Callable[[], None]) -> int:
    """Do the runs one after the other; return the exit code of a signal, or 0."""
    device, code = str(pick_device(study.device)), 0
    plans = study.plans
    for number, plan in enumerate(plans, start=1):
        console.print(f"\n{number}/{len(plans)} {plan.name}", highlight=False)
        try:
            code = train_and_test(
                plan, study.store, study.request, device=device, console=console, curve=study.curve
            )
        except UserError as error:
            failed[plan.name] = str(error)
            console.print(f"{plan.name} failed: {error}", highlight=False, soft_wrap=True)
        if code:
            console.print("give the same command again to continue from here", highlight=False)
            break
        tell()
    return code


def _on_cluster(
    study: Study, console: Console, failed: dict[str, str], tell: Callable[[], None]
) -> int:
    """Do the runs on the GPUs of a cluster; return the exit code of a signal, or 0."""
    plans = [p for p in study.plans if progress_of(p, study.request).state != "done" or study.curve]
    if not plans:
        return 0

    def say(line: str) -> None:
        console.print(clean(line), highlight=False, markup=False, soft_wrap=True)

    with study.cluster(plans, folder=study.folder) as cluster, StopSignals() as stop:
        count, left = len(cluster.workers), len(plans)
        say(f"{counted(left, 'run')} on {counted(count, 'worker')} with a GPU")
        for answer in cluster.answers(plans, "run"):
            if stop.exit_code:
                say("stopping; give the same command again to continue from here")
                break
            if answer is None:
                if count and not cluster.workers:
                    say(f"no worker with a GPU is left at {study.scheduler}; waiting for one")
                count = len(cluster.workers)
                continue
            left -= 1
            message = _failure(answer)
            if message:
                failed[answer.plan.name] = message
            told = f"failed: {message}" if message else f"done on {answer.host}"
            say(f"{answer.plan.name} {told}; still to do: {counted(left, 'run')}")
            tell()
    return stop.exit_code


def _failure(answer: Answer) -> str:
    """Return why a run was not done; empty where it was."""
    if "failed" in answer.content:
        return str(answer.content["failed"])
    if code := answer.content.get("code"):
        return f"it was stopped on {answer.host} (exit code {code}); give the same command again"
    return ""


def tables_so_far(study: Study) -> StudyResult:
    """Write the tables of the runs that are done, and do none."""
    return _write_tables(study, {}, 0)


def finished_runs(study: Study, *, only: str | None = None) -> list[FinishedRun]:
    """Read the runs that are trained and tested; only: the name of a row."""
    found = []
    for plan in study.plans:
        if only not in (None, plan.row.name):
            continue
        result = result_of(plan.run, study.request)
        if result is not None and not progress_of(plan, study.request).needs_training:
            found.append(FinishedRun(plan, result, curve_of(plan.run, study.request)))
    return found


def _write_tables(study: Study, failed: Mapping[str, str], exit_code: int) -> StudyResult:
    """Make the tables of the finished runs, and write them into the study's folder."""
    runs = [run for run in finished_runs(study) if run.plan.name not in failed]
    if not runs:
        return StudyResult((), (), {}, failed, exit_code)
    _check_episodes(runs)
    made = tables_of(study.table, runs)
    content = document(study.table, runs, made) | {"failed": dict(failed)}
    write_text(study.folder / f"{study.table}.json", as_json(content))
    write_text(study.folder / f"{study.table}.md", "\n".join(map(markdown, made)))
    return StudyResult(runs, made, content, failed, exit_code)


def _check_episodes(runs: Sequence[FinishedRun]) -> None:
    sums = {run.plan.name: run.result["episodes"]["sha256"] for run in runs}
    if len(set(sums.values())) > 1:
        raise UserError(
            f"the runs {', '.join(sums)} were tested on different episodes, because the store "
            "changed between them; start again with another --out"
        )
