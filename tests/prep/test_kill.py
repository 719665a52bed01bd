"""A prep that was killed and one that was not give the same store in the end."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.prep.conftest import content
from tests.prep.processes import children, group_is_gone, kill_group, start_prep, wait_for
from tests.videos import make_tree

SHARDS = 4

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    return make_tree(folder / "videos", clips["h264_forty.mp4"], classes=10, videos=4)


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> dict[str, bytes]:
    """Prepare a store without any disturbance."""
    finish(root, root.parent / "undisturbed")
    made = content(root.parent / "undisturbed")
    assert len([name for name in made if name.startswith("shard")]) == SHARDS
    return made


def finish(root: Path, store: Path) -> str:
    process = start_prep(root, store)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return errors


def kill_after(shards: int, seconds: float, root: Path, store: Path) -> bool:
    """Kill a prep some time after it has written so many shards; -1: after its start.

    Returns False where this comes too late, on a busy machine: the prep has ended by itself.
    """
    process = start_prep(root, store)
    wait_for(lambda: shards < 0 or len(list(store.glob("shard-*.h5"))) >= shards)
    time.sleep(seconds)
    return kill_group(process)


def kill_often(root: Path, tmp_path: Path, expected: dict[str, bytes], times: int) -> None:
    moments, killed = random.Random(times), 0
    for number in range(times):
        store = tmp_path / f"store{number}"
        shards = moments.randint(-1, SHARDS - 1)
        killed += kill_after(shards, moments.uniform(0, 0.5 if shards < 0 else 0.1), root, store)
        finish(root, store)
        assert content(store) == expected
    assert killed


def test_a_prep_killed_at_any_moment_goes_on_to_the_same_bytes(
    root: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    kill_often(root, tmp_path, undisturbed, 4)  # one before the first shard


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_prep_killed_fifty_times_goes_on_to_the_same_bytes(
    root: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    kill_often(root, tmp_path, undisturbed, 50)


def test_a_prep_killed_again_and_again_comes_to_an_end(
    root: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    assert kill_after(1, 0.0, root, tmp_path / "store")
    assert not (tmp_path / "store/manifest.json").exists()
    for shards in (2, 3):
        kill_after(shards, 0.0, root, tmp_path / "store")
    finish(root, tmp_path / "store")
    assert content(tmp_path / "store") == undisturbed


def test_a_worker_killed_alone_is_replaced(
    root: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    process = start_prep(root, tmp_path / "store")
    wait_for(lambda: list((tmp_path / "store").glob("shard-*.h5")))
    workers = [pid for pid, line in children(process.pid).items() if "spawn_main" in line]
    assert workers
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "a worker process was killed; starting again: shard" in errors
    assert content(tmp_path / "store") == undisturbed


def test_workers_end_with_the_one_who_started_them(root: Path, tmp_path: Path) -> None:
    process = start_prep(root, tmp_path / "store")
    wait_for(lambda: len(children(process.pid)) >= 2)
    time.sleep(0.3)
    process.kill()
    process.communicate()
    wait_for(lambda: group_is_gone(process.pid))


def test_two_at_once_are_one_too_many(
    root: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    first = start_prep(root, tmp_path / "store")
    wait_for(lambda: (tmp_path / "store/plan.json").exists())
    second = start_prep(root, tmp_path / "store")
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 1
    assert f"process {first.pid}" in errors
    assert "is preparing the store" in errors
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert content(tmp_path / "store") == undisturbed


def test_ctrl_c_ends_it_at_once_and_the_rest_is_done_later(
    root: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    process = start_prep(root, tmp_path / "store")
    wait_for(lambda: list((tmp_path / "store").glob("shard-*.h5")))
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Traceback" not in errors
    wait_for(lambda: group_is_gone(process.pid))
    finish(root, tmp_path / "store")
    assert content(tmp_path / "store") == undisturbed
