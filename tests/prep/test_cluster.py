import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prep.clip import FrameSettings
from prep.plan import PLAN
from prep.report import Report
from tasd.errors import UserError
from tests.archives import files_of, write_tar
from tests.prep.conftest import Listener, content
from tests.videos import make_tree

Run = Callable[..., Report]
SETTINGS = FrameSettings(frames=32, size=128)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> Path:
    """Forty videos, not to be written into."""
    folder = tmp_path_factory.mktemp("cluster") / "videos"
    return make_tree(folder, clips["h264_forty.mp4"], classes=4, videos=10)


@pytest.fixture(scope="module")
def local(run_into: Run, root: Path) -> dict[str, bytes]:
    """The store that a prep without a cluster makes of them."""
    run_into(root, root.parent / "local", settings=SETTINGS, shard_mib=1)
    return content(root.parent / "local")


def start_cluster() -> Any:
    distributed = pytest.importorskip("distributed")
    return distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster whose workers no test ends."""
    with start_cluster() as started:
        yield started


def test_two_workers_of_a_dask_cluster_give_the_bytes_of_one_process(
    run: Run, root: Path, tmp_path: Path, cluster: Any, local: dict[str, bytes]
) -> None:
    listener = Listener()
    address = cluster.scheduler_address
    run(root, settings=SETTINGS, shard_mib=1, scheduler=address, listener=listener)
    assert content(tmp_path / "store") == local
    assert listener.done == listener.videos == 40


def test_archives_give_the_same_bytes_with_a_cluster(
    run: Run, root: Path, tmp_path: Path, cluster: Any, local: dict[str, bytes]
) -> None:
    """They are read and decoded here; the shards are written there."""
    packed = tmp_path / "packed"
    packed.mkdir()
    write_tar(packed / "a.tar.gz", files_of(root), "w:gz")
    address = cluster.scheduler_address
    run(packed, settings=SETTINGS, shard_mib=1, scheduler=address, listener=(seen := Listener()))
    made = {name: data for name, data in content(tmp_path / "store").items() if name != PLAN}
    assert made == {name: data for name, data in local.items() if name != PLAN}
    assert seen.done == 40


def test_a_killed_worker_of_a_dask_cluster_is_made_up_for(
    run: Run, root: Path, tmp_path: Path, local: dict[str, bytes]
) -> None:
    with start_cluster() as cluster:

        def kill_one() -> None:
            while not list((tmp_path / "store").glob("shard-*.h5")):
                time.sleep(0.01)
            os.kill(cluster.workers[0].pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        run(root, settings=SETTINGS, shard_mib=1, scheduler=cluster.scheduler_address)
        killer.join()
    assert content(tmp_path / "store") == local


def test_a_scheduler_that_does_not_answer_is_told(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("prep.remote.PATIENCE_SECONDS", 1)
    with pytest.raises(UserError, match=r"no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        run(root, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"no Dask scheduler answers at 'nonsense://x'"):
        run(root, scheduler="nonsense://x")


@pytest.fixture
def empty_cluster() -> Iterator[Any]:
    """A scheduler without workers."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as started:
        yield started


def test_prep_says_that_it_waits_for_workers(run: Run, root: Path, empty_cluster: Any) -> None:
    listener = Listener()

    def bring_one() -> None:
        while not listener.lines:
            time.sleep(0.01)
        empty_cluster.scale(1)

    bringer = threading.Thread(target=bring_one)
    bringer.start()
    run(root, scheduler=empty_cluster.scheduler_address, listener=listener)
    bringer.join()
    (line,) = listener.lines
    assert line.endswith("has no workers yet; waiting for them")
    assert listener.done == 40


@pytest.mark.parametrize(
    ("hidden", "message"),
    [("store", r"sees another folder as .*/store, or none"), ("videos", "sees none of the .* vid")],
)
def test_a_worker_that_sees_other_folders_is_named(
    run: Run, root: Path, tmp_path: Path, empty_cluster: Any, hidden: str, message: str
) -> None:
    """A machine whose own, empty folder has the name of the shared one."""
    (tmp_path / "store").mkdir()
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", empty_cluster.scheduler_address]
    folder = {"store": tmp_path / "store", "videos": root}[hidden]
    apart = ["unshare", "--mount", "sh", "-c", script, str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"]).returncode:
        pytest.skip("mounting apart is not permitted here")
    with subprocess.Popen([*apart, *worker, "--nthreads", "1", "--no-dashboard"]) as process:
        try:
            with pytest.raises(UserError, match=f"{platform.node()} {message}"):
                run(root, scheduler=empty_cluster.scheduler_address)
        finally:
            process.terminate()
    assert "manifest.json" not in content(tmp_path / "store")


def test_workers_that_a_shard_kills_are_told_in_one_line(run: Run, root: Path) -> None:
    config = pytest.importorskip("dask").config
    with (
        config.set({"distributed.scheduler.allowed-failures": 0}),
        start_cluster() as cluster,
    ):
        listener = Listener()

        def kill_all() -> None:
            while not listener.done:
                time.sleep(0.01)
            for worker in cluster.workers.values():
                os.kill(worker.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_all)
        killer.start()
        with pytest.raises(UserError, match=r"killed by the same shard, the last at tcp://127"):
            run(
                root,
                settings=SETTINGS,
                shard_mib=1,
                scheduler=cluster.scheduler_address,
                listener=listener,
            )
        killer.join()


def test_a_scheduler_that_ends_is_told_in_one_line(run: Run, root: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    own = [sys.executable, "-m"]
    common = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    started = [
        subprocess.Popen([*own, "distributed.cli.dask_scheduler", "--port", "0", *common]),
        subprocess.Popen([*own, "distributed.cli.dask_worker", "--nthreads", "1", *common]),
    ]

    def end_it() -> None:
        while not list((tmp_path / "store").glob("shard-*.h5")):
            time.sleep(0.01)
        started[0].kill()

    killer = threading.Thread(target=end_it)
    killer.start()
    try:
        while not file.exists():
            time.sleep(0.01)
        with pytest.raises(UserError, match=r"the Dask scheduler at .*scheduler.json has ended"):
            run(root, settings=SETTINGS, shard_mib=1, scheduler=str(file))
    finally:
        killer.join()
        for process in started:
            process.kill()
            process.wait()
    assert "manifest.json" not in content(tmp_path / "store")
    assert not list((tmp_path / "store").glob(".prep-*"))
