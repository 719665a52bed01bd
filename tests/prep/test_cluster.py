import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prep.clip import FrameSettings
from prep.report import Report
from tasd.errors import UserError
from tests.prep.conftest import Listener, content
from tests.videos import make_tree

Run = Callable[..., Report]
SETTINGS = FrameSettings(frames=32, size=128)


@pytest.fixture
def root(tmp_path: Path, clips: dict[str, Path]) -> Path:
    return make_tree(tmp_path / "videos", clips["h264_forty.mp4"], classes=4, videos=10)


@pytest.fixture
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as started:
        yield started


def test_two_workers_of_a_dask_cluster_give_the_bytes_of_one_process(
    run: Run, root: Path, tmp_path: Path, cluster: Any
) -> None:
    run(root, tmp_path / "local", settings=SETTINGS, shard_mib=1)
    listener = Listener()
    address = cluster.scheduler_address
    run(root, settings=SETTINGS, shard_mib=1, scheduler=address, listener=listener)
    assert content(tmp_path / "store") == content(tmp_path / "local")
    assert listener.done == listener.videos == 40


def test_a_killed_worker_of_a_dask_cluster_is_made_up_for(
    run: Run, root: Path, tmp_path: Path, cluster: Any
) -> None:
    run(root, tmp_path / "local", settings=SETTINGS, shard_mib=1)

    def kill_one() -> None:
        while not list((tmp_path / "store").glob("shard-*.h5")):
            time.sleep(0.01)
        os.kill(cluster.workers[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    run(root, settings=SETTINGS, shard_mib=1, scheduler=cluster.scheduler_address)
    killer.join()
    assert content(tmp_path / "store") == content(tmp_path / "local")


def test_a_scheduler_that_does_not_answer_is_told(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("prep.cluster.PATIENCE_SECONDS", 1)
    with pytest.raises(UserError, match=r"no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        run(root, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"no Dask scheduler answers at 'nonsense://x'"):
        run(root, scheduler="nonsense://x")
