"""Forks in the place of Python: what a caller sees of them is what it sees of a process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import forks

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such socket")


@pytest.fixture(params=["forked", "started"])
def python(request) -> list[str]:
    return [str(forks.FORKED)] if request.param == "forked" else [sys.executable]


def run(python: list[str], program: str, **how) -> subprocess.CompletedProcess[str]:
    env = os.environ | forks.asking() | {"OF_THE_TEST": "7"}
    return subprocess.run(
        [*python, "-c", program, "a word"], env=env, text=True, capture_output=True, **how
    )


def test_words_streams_folder_and_environment_are_those_of_the_caller(python, tmp_path):
    program = """import os, sys
print(sys.argv[1:], sys.stdin.read(), os.getcwd(), os.environ["OF_THE_TEST"])
print("aside", file=sys.stderr)
sys.exit(3)"""
    done = run(python, program, input="said", cwd=tmp_path)
    assert done.stdout == f"['a word'] said {tmp_path} 7\n"
    assert done.stderr == "aside\n"
    assert done.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_both(python, number):
    done = run(python, f"import os; os.kill(os.getpid(), {int(number)})")
    assert done.returncode == -number


def test_an_error_is_told_and_the_code_is_one(python):
    done = run(python, "raise ValueError('no')")
    assert done.stderr.endswith("ValueError: no\n")
    assert done.returncode == 1


def test_forks_end_with_tests_that_are_killed():
    program = """import os, signal, sys
from tests import forks
words = [sys.executable, "-c", "import time; time.sleep(600)"]
sleeping = forks.Fork(words, start_new_session=True)
print(sleeping.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)"""
    killed = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert killed.returncode == -signal.SIGKILL
    sleeping, deadline = int(killed.stdout), time.monotonic() + 60
    while os.path.exists(f"/proc/{sleeping}"):
        assert time.monotonic() < deadline, "it sleeps on"
        time.sleep(0.05)


def test_the_tiny_backbone_is_known():
    program = "from tasd import backbones; print(backbones.build('tiny').channels)"
    assert run([str(forks.FORKED)], program).stdout == "16\n"
