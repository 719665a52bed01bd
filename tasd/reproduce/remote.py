"""A run on a worker of a Dask cluster: the checks there, and the process that does the run.

Each run has a process of its own: training needs the main thread for its signals, and a graphics
card is free again after it. The process ends with its worker. It saves and stops where the mark, a
file in the folder of the runs, is gone, because the command that ordered it has ended.
"""

import functools
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasd import __version__
from tasd.errors import UserError
from tasd.files import as_json

SECONDS_FOR_LOCK = 60.0


@functools.cache
def code_digest() -> str:
    """Return a sha256 of the source files of tasd."""
    folder = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def check_worker(order: str) -> None:
    """Raise `UserError` where this machine has other code, another store or another folder.

    order: as JSON, so that other versions can read it. It holds code, version, store, store_hash
    and mark, which is None where nothing is to be written.
    """
    wanted, host = json.loads(order), platform.node()
    if code_digest() != wanted["code"]:
        raise UserError(
            f"the worker on {host} has other code of tasd (version {__version__}) than this "
            f"machine ({wanted['version']}); install the same on all machines"
        )
    if wanted["mark"] is not None and not Path(wanted["mark"]).exists():
        raise UserError(
            f"the worker on {host} sees another folder as {Path(wanted['mark']).parent}, or none; "
            "all machines must see the same: choose a shared one with --out"
        )
    store = Path(wanted["store"])
    if not (store / "manifest.json").is_file():
        raise UserError(
            f"the worker on {host} does not see the store {store}; all machines must see it there"
        )


def do_on_worker(order: str) -> str:
    """Do the run of ``order`` in a process of its own and return its answer, both as JSON.

    The answer holds "code", or "seconds" and "disk", or "failed", a message.
    """
    try:
        check_worker(order)
    except UserError as error:
        return as_json({"failed": str(error)})
    command = [sys.executable, "-m", "tasd.reproduce.remote"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(order + "\n")
        process.stdin.flush()
        said = process.stdout.read().splitlines()
        code = process.wait()
    if not said:
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        said = [as_json({"failed": f"its process ended by {why}; see the log of the worker"})]
    answer = json.loads(said[-1])
    return as_json(answer | {"host": platform.node()})


def main() -> None:
    """Do the order on standard input; the answer is the last line of standard output."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_worker, daemon=True).start()
    if order["mark"] is not None:
        mark = Path(order["mark"])
        threading.Thread(target=_stop_without, args=(mark,), daemon=True).start()
    answer: dict[str, Any]
    try:
        answer = _do(order)
    except UserError as error:
        answer = {"failed": str(error)}
    except Exception as error:  # a fault of ours, or of an installation: told where it was ordered
        answer = {"failed": f"{type(error).__name__}: {error}"}
    print(as_json(answer), flush=True)


def _do(order: dict[str, Any]) -> dict[str, Any]:
    from rich.console import Console

    from tasd.evaluation.episodes import EpisodeRequest
    from tasd.reproduce.estimate import costs
    from tasd.reproduce.rows import Row
    from tasd.reproduce.runs import PlannedRun, train_and_test
    from tasd.runs.folder import Run
    from tasd.runs.rules import read_config
    from tasd.store import Store

    given = order["run"]
    config = read_config(given["config"], source=given["row"])
    plan = PlannedRun(Row(given["row"], config), given["seed"], config, Run(Path(given["folder"])))
    with Store(Path(order["store"])) as store:
        if store.hash != order["store_hash"]:
            raise UserError(
                f"{platform.node()} has another store at {store.path}; all machines must see the "
                "same"
            )
        if order["work"] == "estimate":
            return asdict(costs([plan], store, device=order["device"])[plan.row.name])
        _wait_for_lock(plan.run)
        code = train_and_test(
            plan,
            store,
            EpisodeRequest(**order["request"]),
            device=order["device"],
            console=Console(stderr=True),
            curve=order["curve"],
        )
    return {"code": code}


def _wait_for_lock(run: Any) -> None:
    """Wait for a process that was told to stop and is still saving the run."""
    from tasd.runs.lock import RunLock

    deadline = time.monotonic() + SECONDS_FOR_LOCK
    while run.path.is_dir() and time.monotonic() < deadline:
        try:
            with RunLock() as lock:
                lock.take(run.path)
            return
        except UserError:
            time.sleep(1)


def _end_with_worker() -> None:
    """End at once when the pipe from the worker is closed: the worker has ended."""
    sys.stdin.read()
    os._exit(1)


def _stop_without(mark: Path) -> None:
    """Ask this process to save and stop when the command that ordered it has ended."""
    while mark.exists():
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
