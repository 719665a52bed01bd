"""Which network a person means: that of a run, or an export."""

from pathlib import Path

from tasd.predict.exported import is_export, read_export
from tasd.predict.trained import Trained, of_run
from tasd.run import Run, newest


def open_trained(path: Path | None, *, store: Path | None = None) -> Trained:
    """The network of a run, by default of the newest, or of an export. Raises `UserError`."""
    if path is not None and is_export(path):
        return read_export(path)
    return of_run(newest() if path is None else Run(path), store=store)
