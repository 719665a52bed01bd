"""A command loads what it needs and no more: a slow import is the whole time of a short command."""

import json
import subprocess
import sys

import pytest

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
