"""Where the shared test data lies, and what is skipped without it; a small store for all."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import tests.typed  # isort: skip  # noqa: F401 - it acts on what is imported after it

import pytest
import torch
from hypothesis import settings

from prep import cluster
from tests import allocator, forks, narrow  # noqa: F401 - the backbone tiny
from tests.stores import write_store
from tests.workers import Workers

# No test is judged by the clock: a busy machine would fail it.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
allocator.keep_freed_memory()

if sys.platform == "linux":
    cluster.CONTEXT = Workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: some tests wait, for a limit of time or a process."""
    return len(os.sched_getaffinity(0)) + 1 if sys.platform == "linux" else (os.cpu_count() or 1)


def pytest_collection_finish() -> None:
    """Set apart all that is imported by now: collections of garbage need not walk it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _memory_given_back() -> Iterator[None]:
    """Free the networks of a module, which are in cycles, and what the allocator holds of them.

    What is still there was imported meanwhile: the next collection need not walk it again.
    """
    yield
    gc.collect()
    gc.freeze()
    allocator.give_back()


def pytest_unconfigure() -> None:
    forks.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder named by TASD_TEST_DATA: data/, golden/, weights/, splits/."""
    folder = os.environ.get("TASD_TEST_DATA")
    if not folder:
        pytest.skip("TASD_TEST_DATA is not set: it names the folder of real clips and golden files")
    return Path(folder)


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished `folder` store of 16 classes with 6 videos each; do not write into it."""
    return write_store(tmp_path_factory.mktemp("store") / "folder")


@pytest.fixture
def cuda() -> torch.device:
    """The GPU; without one the test is skipped, or fails where one was promised."""
    if not torch.cuda.is_available():
        if os.environ.get("TASD_REQUIRE_GPU") == "1":
            pytest.fail("TASD_REQUIRE_GPU=1 and torch finds no CUDA device")
        pytest.skip("needs a CUDA device")
    return torch.device("cuda", 0)
