"""MLflow: a server, or a SQLite file that all runs on this machine share."""

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8

from tasd.home import home
from tasd.runs.tracker import End, Start, Table, Tracker, flat, without_login

EXPERIMENT = "tasd"
SECONDS_TO_SEND = 5.0
MOST_AT_ONCE = 500  # numbers; MLflow takes 1,000
LONGEST_VALUE = 500
STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
# MLflow reports its own use to its makers, and would wait minutes for a server that is away.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}


class MLflow:
    """A run of MLflow. Numbers are sent together, every `SECONDS_TO_SEND`."""

    def __init__(self, start: Start) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        self._uri = _address(start.known.get("tracking_uri"))
        self._adds = start.adds
        self._client: Any = _client(self._uri)
        self._waiting: list[Any] = []
        self._sent = time.monotonic()
        self._id = start.known.get("run_id") or self._begun(start)
        if start.known and not self._adds:
            self._client.update_run(self._id, status="RUNNING")

    def _begun(self, start: Start) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        if found is None:
            local = self._uri.startswith("sqlite:")
            files = (home().absolute() / "mlflow-files").as_uri() if local else None
            experiment = self._client.create_experiment(name, artifact_location=files)
        else:
            experiment = found.experiment_id
        tags = {"mlflow.source.name": "tasd", "folder": str(start.folder.absolute())}
        begun = self._client.create_run(experiment, run_name=start.name, tags=tags)
        return str(begun.info.run_id)

    @property
    def identity(self) -> Mapping[str, str]:
        """The run's id, and the address of the server or file."""
        return {"run_id": self._id, "tracking_uri": without_login(self._uri)}

    @property
    def place(self) -> str:
        """The address, or the command that shows a file."""
        shown = without_login(self._uri)
        if self._uri.startswith("sqlite:"):
            return f"MLflow: mlflow ui --backend-store-uri {shown}"
        return f"MLflow: {shown}"

    def numbers(self, values: Mapping[str, float], *, episode: int) -> None:
        """Add a value of each series."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._waiting += [Metric(name, value, now, episode) for name, value in values.items()]
        due = time.monotonic() - self._sent > SECONDS_TO_SEND
        if due or len(self._waiting) > MOST_AT_ONCE:
            self._send()

    def _send(self) -> None:
        while self._waiting:
            self._client.log_batch(self._id, metrics=self._waiting[:MOST_AT_ONCE])
            self._waiting = self._waiting[MOST_AT_ONCE:]
        self._sent = time.monotonic()

    def picture(
        self, name: str, image: UInt8[np.ndarray, "height width 3"], *, episode: int
    ) -> None:
        """Add a picture of a series."""
        self._client.log_image(self._id, image, key=name, step=episode, synchronous=True)

    def config(self, values: Mapping[str, Any]) -> None:
        """Set the settings of a new run: as settings, and whole as config.json."""
        from mlflow.entities import Param

        settings = [Param(name, str(value)[:LONGEST_VALUE]) for name, value in flat(values).items()]
        for first in range(0, len(settings), 100):
            self._client.log_batch(self._id, params=settings[first : first + 100])
        self._client.log_dict(self._id, dict(values), "config.json")

    def table(self, name: str, table: Table) -> None:
        """Add a table as a file that MLflow shows."""
        columns = {
            column: [row[place] for row in table.rows] for place, column in enumerate(table.columns)
        }
        with _quietly():
            self._client.log_table(self._id, columns, artifact_file=f"{name}.json")

    def finish(self, end: End) -> None:
        """Send what is left, and set the run's state."""
        self._send()
        if not self._adds:  # a result leaves the state as training left it
            self._client.set_terminated(self._id, status=STATUS[end])


def open_mlflow(start: Start) -> Tracker:
    """Open a run of MLflow, new or known."""
    return MLflow(start)


def _client(uri: str) -> Any:
    """Connect; a new file gets its tables."""
    with _quietly():
        from mlflow import MlflowClient

        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.WARNING)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)  # the first question builds all tables
    return client


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hide warnings: those of MLflow are about its own use of other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _address(known: str | None) -> str:
    """The address: the known one, else that of MLFLOW_TRACKING_URI, else a file in $TASD_HOME.

    The known one carries no login; where the variable names the same place, its login is used.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home().absolute() / 'mlflow.db'}"
    return given if known is None or without_login(given) == known else known
