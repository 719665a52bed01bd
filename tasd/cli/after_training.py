"""The command that follows a training."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasd.features.store import FeatureStore
    from tasd.runs.folder import Run
    from tasd.store import Store


def leads() -> bool:
    """Return True in the one process of a training that prints."""
    return os.environ.get("RANK", "0") == "0"


def next_command(run: "Run", store: "Store | FeatureStore") -> str:
    """Return the command that tests a run that has ended, with the store where it is not found."""
    from tasd.home import home
    from tasd.store import Store

    words = ["tasd", "evaluate", "--run", str(run.path)]
    stores = (home() / "stores").resolve()
    if isinstance(store, Store) and Path(store.path).resolve().parent != stores:
        words += ["--store", str(store.path)]
    return shlex.join(words)
