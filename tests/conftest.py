"""Where the shared test data lies, and what is skipped without it."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder named by TASD_TEST_DATA: data/, golden/, weights/, splits/."""
    folder = os.environ.get("TASD_TEST_DATA")
    if not folder:
        pytest.skip("TASD_TEST_DATA is not set: it names the folder of real clips and golden files")
    return Path(folder)
