"""The runs of a study on a Dask cluster: one run for each GPU that a worker declares.

A worker declares its GPUs by ``--resources GPU=1``. Runs lie in a folder that all machines see, and
a run of a worker that is killed is continued by another.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from prep.remote import connect, marked, quiet
from tasd import __version__
from tasd.errors import UserError
from tasd.evaluation.episodes import EpisodeRequest
from tasd.files import as_json
from tasd.reproduce.estimate import Cost
from tasd.reproduce.remote import check_worker, code_digest, do_on_worker
from tasd.reproduce.runs import PlannedRun
from tasd.store import Store

MARK = ".reproduce-"
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_TO_STOP = 60.0
RESOURCE = "GPU"
HOW = "start workers with: dask worker {at} --nthreads 1 --resources GPU=1"


@dataclass(frozen=True)
class Orders:
    """All that the runs of a study have in common. mark: None where nothing is written."""

    store: Store
    request: EpisodeRequest
    device: str
    curve: bool
    mark: Path | None

    def of(self, plan: PlannedRun, work: Literal["run", "estimate"]) -> str:
        """Return the order of one run as JSON."""
        run = {
            "row": plan.row.name,
            "seed": plan.seed,
            "config": plan.config.model_dump(),
            "folder": str(plan.run.path.resolve()),
        }
        request = asdict(self.request)
        return as_json(
            {
                "code": code_digest(),
                "version": __version__,
                "mark": None if self.mark is None else str(self.mark),
                "store": str(Path(self.store.path).resolve()),
                "store_hash": self.store.hash,
                "work": work,
                "run": run,
                "request": request,
                "device": self.device,
                "curve": self.curve,
            }
        )


@dataclass(frozen=True)
class Answer:
    """The answer for a run: as `tasd.reproduce.remote.do_on_worker` gives it."""

    plan: PlannedRun
    content: Mapping[str, Any]

    @property
    def host(self) -> str:
        """The machine that did it."""
        return str(self.content.get("host", "a worker"))


class Cluster:
    """A connected scheduler with at least one worker that declares a GPU."""

    def __init__(self, client: Any, scheduler: str, orders: Orders) -> None:
        self.client, self.scheduler, self.orders = client, scheduler, orders
        self.waiting: dict[Any, PlannedRun] = {}

    @property
    def workers(self) -> list[str]:
        """The addresses of the workers that declare a GPU."""
        found = self.client.scheduler_info()["workers"]
        return [at for at, worker in found.items() if worker["resources"].get(RESOURCE, 0) >= 1]

    def check(self, plan: PlannedRun) -> None:
        """Raise `UserError` where no worker has a GPU, or one is not fit for these runs."""
        workers = self.workers
        if not workers:
            how = HOW.format(at=self.scheduler)
            raise UserError(f"no worker of the scheduler at {self.scheduler} declares a GPU; {how}")
        order = self.orders.of(plan, "run")
        found = self.client.run(check_worker, order, workers=workers, on_error="return")
        for at, error in found.items():
            if isinstance(error, UserError):
                raise error
            if isinstance(error, BaseException):
                raise UserError(
                    f"the worker at {at} has other code of tasd than this machine, or none "
                    f"({type(error).__name__}: {error}); install the same on all machines"
                )

    def answers(
        self, plans: Sequence[PlannedRun], work: Literal["run", "estimate"]
    ) -> Iterator[Answer | None]:
        """Order all runs and yield each answer when it is there, and None while nothing is."""
        self.waiting = waiting = {
            self.client.submit(
                do_on_worker,
                self.orders.of(plan, work),
                key=f"tasd-{work}-{plan.name}-{time.time_ns()}",
                resources={RESOURCE: 1},
                pure=False,
            ): plan
            for plan in plans
        }
        while waiting:
            for future in [future for future in waiting if future.done()]:
                plan = waiting.pop(future)
                yield Answer(plan, self._content(future))
            yield None
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def drain(self) -> None:
        """Wait until the workers have saved and stopped what was ordered; the mark is gone."""
        deadline = time.monotonic() + SECONDS_TO_STOP
        while time.monotonic() < deadline and not all(f.done() for f in self.waiting):
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _content(self, future: Any) -> dict[str, Any]:
        from distributed import CancelledError, KilledWorker

        try:
            content: dict[str, Any] = json.loads(future.result())
        except CancelledError:
            raise UserError(
                f"the Dask scheduler at {self.scheduler} has ended; start it again and give the "
                "same command again: runs that were begun go on"
            ) from None
        except KilledWorker as error:
            at = error.last_worker.address
            content = {
                "failed": f"several workers were killed by this run, the last at {at} (see its "
                "log; is the memory full?)"
            }
        except Exception as error:
            content = {"failed": f"{type(error).__name__}: {error}"}
        return content


@contextmanager
def cluster_of(
    scheduler: str,
    plans: Sequence[PlannedRun],
    *,
    folder: Path | None,
    store: Store,
    request: EpisodeRequest,
    device: str,
    curve: bool,
) -> Iterator[Cluster]:
    """Connect to a scheduler and check its workers. Raises `UserError`.

    folder: of the runs, where they are to be done; None for estimates, which write nothing. When
    the block ends, the workers save and stop what they are still doing there.
    """
    client = connect(scheduler)
    with quiet(), client:
        if folder is None:
            cluster = Cluster(client, scheduler, Orders(store, request, device, curve, None))
            cluster.check(plans[0])
            yield cluster
            return
        folder.mkdir(parents=True, exist_ok=True)
        with marked(folder.resolve(), MARK) as mark:
            cluster = Cluster(client, scheduler, Orders(store, request, device, curve, mark))
            cluster.check(plans[0])
            yield cluster
        cluster.drain()


def costs_on(cluster: Cluster, plans: Sequence[PlannedRun]) -> dict[str, Cost]:
    """Estimate each row on a worker, as `estimate.costs` does here. Raises `UserError`."""
    found = {}
    first = {plan.row.name: plan for plan in reversed(plans)}
    for answer in cluster.answers(list(first.values()), "estimate"):
        if answer is None:
            continue
        if "failed" in answer.content:
            raise UserError(f"row {answer.plan.row.name}: {answer.content['failed']}")
        found[answer.plan.row.name] = Cost(answer.content["seconds"], answer.content["disk"])
    return found
