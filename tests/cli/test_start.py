"""A command loads what it needs and no more: a slow import is the whole time of a short command."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tasd.backbones import DEFAULT_BACKBONE
from tasd.demo.real import CLIPS

# Programs that take longer to import than these commands may take in all.
TORCH = ("torch", "torchvision", "jaxtyping", "nvidia.dali")
SCIENCE = ("sklearn", "scipy", "matplotlib", "timm", "pandas")
# Half of the time of torchvision, which imports it for one function.
COMPILER = ("torchvision", "torch._dynamo")
ARRAYS = ("numpy", "h5py", "PIL")


def loaded(*words: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    script = (
        "import json, sys\n"
        f"sys.argv = ['tasd', *{list(words)!r}]\n"
        "from tasd.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["matchers"], (*TORCH, *SCIENCE, *ARRAYS)),
        (["matchers", "--json"], (*TORCH, *SCIENCE, *ARRAYS)),
        (["splits", "show"], (*TORCH, *SCIENCE, *ARRAYS)),
        (["splits", "show", "ucf101", "--json"], (*TORCH, *SCIENCE, *ARRAYS, "rich")),
        (["doctor"], (*COMPILER, *SCIENCE)),
    ],
    ids=" ".join,
)
def test_a_short_command_loads_no_heavy_package(words, heavy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert not set(heavy) & loaded(*words)


def test_predict_loads_neither_scikit_learn_nor_the_compiler_of_torch(monkeypatch, tmp_path):
    monkeypatch.setenv("TASD_HOME", str(tmp_path))
    words = ["--backbone", DEFAULT_BACKBONE, "--support", str(CLIPS / "support")]
    clip = next(CLIPS.glob("queries/*/*.mp4"))
    assert not {*COMPILER, *SCIENCE} & loaded("predict", *words, str(clip))


def test_a_matcher_is_known_by_name_without_torch():
    script = (
        "import sys\n"
        "from tasd.cli.checks import check_matcher\n"
        "from tasd.matchers import DESCRIBED, MATCHERS\n"
        "check_matcher('otam')\n"
        "assert 'otam' in MATCHERS and list(MATCHERS) == list(DESCRIBED)\n"
        "assert 'torch' not in sys.modules\n"
        "assert MATCHERS['otam'].__name__ == 'OTAM'\n"
        "assert 'tasd.matchers.otam' in sys.modules and 'tasd.matchers.trx' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def read(reader: int) -> Iterator[str]:
    """Read a terminal until its program ends."""
    with suppress(OSError), open(reader, encoding="utf-8", errors="replace") as file:
        while text := file.read(1):
            yield text


@pytest.mark.parametrize("words", [["report", "nowhere"], ["evaluate", "--run", "nowhere"]])
def test_a_terminal_sees_at_once_that_torch_is_loaded(words, tmp_path):
    reader, terminal = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "TASD_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tasd", *words]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, env=environment)
    os.close(terminal)
    said = "".join(read(reader))
    assert program.communicate()[0] == b""
    assert program.returncode == 1
    before, _, after = said.partition("tasd: nowhere")
    assert "loading torch" in before
    assert "loading torch" not in before.splitlines()[-1]  # the bar was taken away
    assert len(after.splitlines()) == 1


def test_elsewhere_nothing_is_said_of_loading(tmp_path):
    command = [sys.executable, "-m", "tasd", "report", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr.startswith("tasd: nowhere")
    assert len(done.stderr.splitlines()) == 1
