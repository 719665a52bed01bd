"""Runs on a Dask cluster of this machine, with two workers that pretend to have one GPU each."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasd.runs.checkpoint import load
from tests import forks
from tests.runs import DISTILL, SMALL, assert_equal_bits, environment
from tests.stores import write_store

pytest.importorskip("distributed")
pytestmark = pytest.mark.timeout(1200)
ROWS = ("bimhm", "prototype")
EPISODES = 12
DASK_WORKER = "from distributed.cli.dask_worker import main; main()"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return write_store(tmp_path_factory.mktemp("store") / "folder", videos=2, frames=4, side=40)


@contextmanager
def started(
    *command: str, stdout: int | None = None, stderr: int | None = None
) -> Iterator[subprocess.Popen[str] | forks.Fork]:
    """A process in a session of its own, which is ended with all that it started."""
    how = {
        "env": environment() | forks.asking(),
        "stdout": stdout,
        "stderr": stderr,
        "start_new_session": True,
    }
    ours = command[0] == sys.executable
    begun = forks.Fork([*command], **how) if ours else subprocess.Popen(command, text=True, **how)
    with begun as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("dask") / "scheduler.json"
    own = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    with started(*own, "--port", "0", "--no-dashboard", "--scheduler-file", str(file)):
        wait_for(file.exists)
        yield json.loads(file.read_text())["address"]


@contextmanager
def worker(scheduler: str, *, resources: str = "GPU=1", before: tuple[str, ...] = ()):
    # Without a nanny, which would start a killed worker again. The processes of its runs are forks.
    program = f"import sys; sys.executable = {str(forks.FORKED)!r}; {DASK_WORKER}"
    own = [sys.executable, "-c", program, scheduler, "--nthreads", "1"]
    more = ["--no-dashboard", "--no-nanny", *(["--resources", resources] if resources else [])]
    with started(*before, *own, *more) as process:
        yield process


def wait_for(there, seconds: float = 500) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)


def command(store: Path, out: Path, *words: object, rows: tuple[str, ...] = ROWS) -> list[str]:
    sets = [word for text in [*SMALL, *DISTILL] for word in ("--set", text)]
    own = ["--store", store, "--out", out, "--episodes", EPISODES, "--test-episodes", 30]
    only = [word for row in rows for word in ("--only", row)]
    every = [*own, *only, "--recipe", "tasd", "--device", "cpu", *sets, *words]
    return [sys.executable, "-m", "tasd", "reproduce", "table1", *map(str, every)]


def reproduce(
    store: Path, out: Path, *words: object, rows: tuple[str, ...] = ROWS
) -> subprocess.CompletedProcess[str]:
    return forks.run(command(store, out, *words, rows=rows), env=environment())


def answer(process: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error."""
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    return process.stderr.strip().splitlines()[-1]


def test_two_workers_of_which_one_is_killed_give_the_table_of_one_process(
    store, scheduler, tmp_path
):
    assert reproduce(store, tmp_path / "alone").returncode == 0
    out = tmp_path / "cluster"
    with worker(scheduler), worker(scheduler) as second:
        ordered = command(store, out, "--scheduler", scheduler)
        with started(*ordered, stdout=forks.PIPE, stderr=forks.STDOUT) as run:
            wait_for(lambda: len(list(out.glob("*/checkpoints/last.pt"))) >= 2)
            os.kill(second.pid, signal.SIGKILL)
            said, _ = run.communicate(timeout=600)
        assert run.returncode == 0, said
        again = reproduce(store, out, "--scheduler", scheduler)  # all is done
        assert again.returncode == 0
    assert (out / "table1.md").read_text() == (tmp_path / "alone/table1.md").read_text()
    for path in (tmp_path / "alone").glob("*/checkpoints/last.pt"):
        assert_equal_bits(path, out / path.relative_to(tmp_path / "alone"))
    assert not list(out.glob(".reproduce-*"))


def test_a_command_that_is_stopped_saves_its_runs_and_goes_on(store, scheduler, tmp_path):
    out = tmp_path / "stopped"
    words = ("--episodes", 300, "--scheduler", scheduler)
    with worker(scheduler):
        ordered = command(store, out, *words, rows=("prototype",))
        with started(*ordered, stdout=forks.PIPE, stderr=forks.STDOUT) as run:
            wait_for(lambda: len(list(out.glob("*/checkpoints/last.pt"))) >= 1)
            run.send_signal(signal.SIGTERM)
            said, _ = run.communicate(timeout=500)
        assert run.returncode == 143, said
        assert "give the same command again to continue from here" in said
        (last,) = out.glob("*/checkpoints/last.pt")
        assert 0 < load(last).progress.episode < 300


def test_no_scheduler_and_no_worker_with_a_gpu_are_told(store, scheduler, tmp_path):
    for nonsense in ("nonsense://x", "no address"):
        line = answer(reproduce(store, tmp_path / "a", "--scheduler", nonsense))
        assert f"no Dask scheduler answers at '{nonsense}'" in line
    with worker(scheduler, resources=""):
        line = answer(reproduce(store, tmp_path / "a", "--scheduler", scheduler))
    assert f"no worker of the scheduler at {scheduler} declares a GPU; start workers with" in line
    assert not (tmp_path / "a").exists()


def test_a_worker_with_other_code_is_told(store, scheduler, tmp_path):
    shutil.copytree(Path(__file__).parents[2] / "tasd", tmp_path / "other/tasd")
    shutil.copytree(Path(__file__).parents[2] / "prep", tmp_path / "other/prep")
    with (tmp_path / "other/tasd/home.py").open("a") as file:
        file.write("# another version\n")
    # From its own folder: the folder that a worker starts in comes before PYTHONPATH.
    with worker(scheduler, before=("env", "-C", str(tmp_path / "other"))):
        wait_for_worker(scheduler)
        line = answer(reproduce(store, tmp_path / "a", "--scheduler", scheduler))
    assert f"the worker on {platform.node()} has other code of tasd (version" in line


@pytest.mark.parametrize(("hidden", "said"), [("runs", "sees another folder as"),
                                              ("store", "does not see the store")])  # fmt: skip
def test_a_worker_that_sees_other_folders_is_told(scheduler, store, tmp_path, hidden, said):
    shutil.copytree(store, tmp_path / "store")
    (tmp_path / "runs").mkdir()
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    apart = ("unshare", "--mount", "sh", "-c", script, str(tmp_path / hidden))
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"]).returncode:
        pytest.skip("mounting apart is not permitted here")
    with worker(scheduler, before=apart):
        wait_for_worker(scheduler)
        line = answer(reproduce(tmp_path / "store", tmp_path / "runs", "--scheduler", scheduler))
    assert f"the worker on {platform.node()} {said} {tmp_path / hidden}" in line


def test_a_run_that_fails_on_a_worker_is_told_with_its_row(store, scheduler, tmp_path):
    with worker(scheduler):
        wait_for_worker(scheduler)
        words = ("--set", "optimiser.lr=1e30", "--scheduler", scheduler)
        found = reproduce(store, tmp_path / "a", *words, rows=("bimhm",))
    assert found.returncode == 1
    assert "bimhm-seed0 failed: episode" in found.stderr
    assert "Traceback" not in found.stderr


def wait_for_worker(scheduler: str) -> None:
    from distributed import Client

    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=500)
