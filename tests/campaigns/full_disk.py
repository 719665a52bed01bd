"""Commands on a disk that is full or can only be read: ``unshare -rm python -m ... FOLDER``.

The disk is a small tmpfs, in a space of mounts that ends with this process. Each command runs in a
fork: once with room, to know what it writes, then with less and less of it, on a copy of the run.
Prints a line of JSON for each: what it said, what it left, and how it ended with room again.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tasd.runs.folder import Run
from tests.campaigns.forks import tasd, warm
from tests.campaigns.kill_commands import words_of
from tests.campaigns.kill_training import make_inputs, training, undisturbed
from tests.campaigns.pairs import half_way
from tests.test_kept import KEPT

PAGE = 4096
SIZE = "24m"
DISK_COMMANDS = ("evaluate", "features", "export", "report", "reproduce", "train")
DISK_COMMANDS += ("train on features", "resume", "seal", "prep", "show", "predict", "plot")
LOCK = ".lock"  # of a run: it stays, and the next writer takes it over


def commands(disk: Path, inputs: dict[str, Path]) -> dict[str, list[object]]:
    """Return the commands, each of which writes to ``disk`` alone."""
    run, store = disk / "run", inputs["frames"]
    cpu = ["--device", "cpu"]
    found: dict[str, list[object]] = {
        name: words_of(name, run, store)
        for name in ("evaluate", "features", "export", "report", "reproduce")
    }
    found["train"] = training("frames", store, disk / "new")
    found["train on features"] = training("features", inputs["features"], disk / "new")
    found["resume"] = ["train", "--resume", disk / "half", "--store", store, *cpu]
    found["seal"] = ["features", "--seal", disk / "mine.h5"]
    found["prep"] = ["prep", "folder", "--root", inputs["videos"], "--store", disk / "s",
                     "--workers", 1]  # fmt: skip
    found["show"] = ["show", store, "--video", "train class 0/v0", "--out", disk / "sheet.png"]
    asked = ["predict", "--run", run, "--store", store, "--support", KEPT / "support", *cpu]
    found["predict"] = [*asked, KEPT / "query.mp4", "--no-cache", "--csv"]
    found["plot"] = [*asked, KEPT / "query.mp4", "--window", 0.5, "--timeline", disk / "time.png"]
    return found


def fresh(disk: Path, kept: Path) -> None:
    """Put the runs and files on the disk anew, and nothing else."""
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(kept, disk, dirs_exist_ok=True)


def files(folder: Path) -> dict[str, str]:
    """Return the digests of all files."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (LOCK, "filler")
    }


def free(disk: Path) -> int:
    """Return the free bytes."""
    return shutil.disk_usage(disk).free


def tried(name: str, words: list[object], disk: Path, log: Path, left: int | None) -> dict:
    """Run a command with ``left`` bytes on the disk, or None where it can only be read."""
    before = files(disk)
    if left is None:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    elif free(disk) > left:
        (disk / "filler").write_bytes(bytes(free(disk) - left))
    log.unlink(missing_ok=True)
    code = tasd(words, log)
    if left is None:
        subprocess.run(["mount", "-o", f"remount,rw,size={SIZE}", disk], check=True)
    (disk / "filler").unlink(missing_ok=True)
    after, said = files(disk), log.read_text(errors="replace").strip().splitlines()
    if words[0] == "train" and (disk / "new" / "config.json").exists():
        words = ["train", "--resume", disk / "new", *(words[1:3] if "--store" in words else [])]
    again = tasd(words, log) if code else None
    return {
        "command": name,
        "left": left,
        "code": code,
        "said": said[-1] if said else "",
        "traceback": any("Traceback" in line for line in said),
        "new": sorted(after.keys() - before.keys()),
        "changed": sorted(n for n in before if after.get(n) != before[n]),
        "again": again,
        "then": log.read_text(errors="replace").strip().splitlines()[-1:] if again else [],
    }


def cases(folder: Path, only: list[str], *, short: bool) -> Iterator[dict[str, Any]]:
    """Yield what each command did, with less and less room.

    short: with none and with two thirds of what it writes.
    """
    torch.set_num_threads(1)
    inputs = {**make_inputs(folder), "videos": folder / "videos"}
    for number in range(6):
        (inputs["videos"] / f"class {number}").mkdir(parents=True, exist_ok=True)
        shutil.copy(KEPT / "query.mp4", inputs["videos"] / f"class {number}" / "a.mp4")
    whole = undisturbed("frames", inputs, folder)[0]
    kept, disk, log = folder / "kept", folder / "disk", folder / "log.txt"
    shutil.copytree(whole.path, kept / "run", dirs_exist_ok=True)
    shutil.copy(inputs["features"], kept / "mine.h5")
    half_way(Run(kept / "run"), kept / "half")
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk], check=True)
    os.environ |= {"XDG_CACHE_HOME": str(disk), "TASD_HOME": str(disk), "TMPDIR": str(disk)}
    tempfile.tempdir = str(disk)  # else a full one is passed over for /tmp
    os.chdir(disk)
    for name, words in commands(disk, inputs).items():
        if name not in (only or DISK_COMMANDS):
            continue
        fresh(disk, kept)
        room = free(disk)
        log.unlink(missing_ok=True)
        warm(words, log)
        writes = room - free(disk)
        last = max(0, writes // PAGE - 1)
        pages = (0, 2 * last // 3) if short else (0, 1, last // 3, 2 * last // 3, last)
        for left in [*dict.fromkeys(PAGE * number for number in pages), None]:
            fresh(disk, kept)
            yield {**tried(name, words, disk, log, left), "writes": writes}


if __name__ == "__main__":
    named = [word for word in sys.argv[2:] if word != "--short"]
    for case in cases(Path(sys.argv[1]).absolute(), named, short="--short" in sys.argv):
        print(json.dumps(case), flush=True)
