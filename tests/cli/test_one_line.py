"""Errors of the system and of memory are one line, never a traceback."""

import errno
import os
import sys

import pytest
import torch

from tasd.errors import UserError, cause, told
from tests import forks
from tests.stores import write_store

TRAIN = """
import os, resource, sys
from pathlib import Path
import tasd.training.loop as loop
kind, run = sys.argv[1], Path(sys.argv[2])
step = loop.RunLog.step
def broken(self, *args, **options):
    step(self, *args, **options)
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    if kind == "gone":
        run.rename(run.with_name("elsewhere"))
    if kind == "memory":
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 b")
    if kind == "card":
        import torch
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")
    if kind == "cut":
        for shard in Path(sys.argv[3]).glob("*.h5"):
            os.truncate(shard, 600)
loop.RunLog.step = broken
sys.argv[1:] = ["train", "--store", sys.argv[3], "--out", str(run), *sys.argv[4:]]
from tasd.__main__ import main
main()
"""
SMALL = "--recipe baseline --backbone resnet8 --weights none --crop 64 --episodes 20 --way 2"
SMALL += " --queries 1 --device cpu --loader torch --set data.frames=2 --set data.threads=1"
SMALL += " --set training.validation_episodes=2"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("limit", "File too large; raise the limit"),
        ("gone", "No such file or directory; it is not there, or no longer"),
        ("memory", "this machine has no memory left (DefaultCPUAllocator: can't allocate memory"),
        ("card", "the GPU has no memory left (CUDA out of memory); lower --crop"),
        ("cut", "changed since the store was opened"),
    ],
)
def test_what_goes_wrong_while_a_run_trains_is_one_line(tmp_path, kind, line):
    store = write_store(tmp_path / "s", videos=3, frames=4)
    command = [sys.executable, "-c", TRAIN, kind, str(tmp_path / "run"), str(store)]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = forks.run([*command, *SMALL.split()], env=environment)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("tasd: ")
    assert line in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_an_error_of_the_system_names_the_file_and_a_way_out(code):
    found = told(OSError(code, os.strerror(code), "/a/b.json"))
    assert found is not None
    said = "the disk is full" if code == errno.ENOSPC else os.strerror(code)
    assert str(found).startswith(f"/a/b.json: {said}; ")


@pytest.mark.parametrize(
    "text",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        "Can't write data (file write failed: errno = 28, error message = 'No space left')",
    ],
)
def test_a_full_disk_is_known_in_the_words_of_libraries(text):
    assert cause(RuntimeError(text)) == "the disk is full"


def test_memory_and_temporary_files(monkeypatch):
    assert "lower --batch" in str(told(MemoryError(), command="evaluate"))
    none = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    assert "set TMPDIR" in str(told(none))
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60)
    assert "no memory left" in str(told(error.value))


def test_a_mistake_of_ours_keeps_its_traceback():
    assert told(KeyError("a")) is None
    assert told(RuntimeError("shape")) is None
    assert told(OSError("of no system call")) is None
    mine = UserError("a")
    assert told(mine) is mine
