"""Kills of evaluate, features, export, report and reproduce: run again, they give the same.

``python -m tests.campaigns.kill_commands FOLDER [NUMBER]`` goes on where it stopped.
"""

import hashlib
import json
import random
import shutil
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tasd.evaluation.results import read_document
from tasd.features.reader import open_features
from tasd.predict.export import is_export, read_export
from tests.campaigns import forks
from tests.campaigns.forks import Length, measured, tasd, warm
from tests.campaigns.kill_training import make_inputs, undisturbed
from tests.campaigns.log import CampaignLog
from tests.runs import DISTILL, SMALL

COMMANDS = ("evaluate", "features", "export", "report", "reproduce")


def words_of(command: str, run: Path, store: Path) -> list[object]:
    """Return a command on a run, whose products lie in the run's folder."""
    cpu = ["--store", store, "--device", "cpu"]
    if command in ("evaluate", "features"):
        tested = ["--episodes", 20] if command == "evaluate" else []
        return [command, "--run", run, *cpu, *tested]
    if command == "export":
        return ["export", run, *cpu]
    if command == "report":
        return ["report", run, "--store", store]
    texts = [*SMALL, *DISTILL, "training.validation_every=1"]
    sets = [word for text in texts for word in ("--set", text)]
    lengths = ["--episodes", 2, "--test-episodes", 20, "--only", "baseline"]
    return ["reproduce", "table2", "--out", run / "study", *cpu, *lengths, *sets]


def products(command: str, run: Path) -> dict[str, Any]:
    """Return what a command has written, without times and places."""
    if command == "features":
        found = (run / "features").glob("*.h5")
        return {path.name: open_features(path, own=True).hash for path in found}
    if command == "export":
        files = ("model.safetensors", "config.json")
        return {n: hashlib.sha256((run / "export" / n).read_bytes()).hexdigest() for n in files}
    if command == "report":
        files = sorted((run / "figures").iterdir())
        return {p.name: p.read_text() if p.suffix in (".md", ".csv", ".tex") else "" for p in files}
    results = run.glob(
        "evaluation/*.json" if command == "evaluate" else "study/*/evaluation/*.json"
    )
    return {path.parent.parent.name * (command == "reproduce"): read_document(path)["networks"]
            for path in results}  # fmt: skip


def warm_up(command: str, whole: Path, store: Path, work: Path) -> None:
    """Run a command on a copy of the run, so that what it imports is here."""
    run = work / "warm" / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole, run)
    warm(words_of(command, run, store), work / "warm.txt")


def kill(
    command: str, whole: Path, store: Path, length: Length, work: Path, number: int
) -> dict[str, Any]:
    """Kill a command on a copy of the run, run it again, and return its products."""
    run, log, draw = work / "run", work / "log.txt", random.Random(number)
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole, run)
    log.unlink(missing_ok=True)
    death = length.death(draw, naming=number // len(COMMANDS) % 2 == 0)
    words = words_of(command, run, store)
    code = tasd(words, log, death)
    if command == "export" and is_export(run / "export"):  # complete, and said to be there
        read_export(run / "export")
    elif code:
        assert tasd(words, log) == 0, log.read_text()[-2000:]
    assert forks.said_nothing_bad(log), log.read_text()[-2000:]
    left = [path for path in run.rglob(".*.writing") if ".checkpoints" not in str(path)]
    assert not left, left
    return {"code": code, **asdict(death), "products": products(command, run)}


def campaign(folder: Path, count: int) -> Counter:
    """Do the kills that are left of ``count``, and count those that hit."""
    torch.set_num_threads(1)
    log, store = CampaignLog(folder, "kill-commands"), make_inputs(folder)["frames"]
    whole = undisturbed("frames", {"frames": store}, folder)[0].path
    work = folder / "commands"
    work.mkdir(exist_ok=True)
    expected: dict[str, tuple[Length, dict[str, Any]]] = {}
    for number in log.left(count):
        command = COMMANDS[number % len(COMMANDS)]
        if command not in expected:
            warm_up(command, whole, store, work)
            run = work / f"expected-{command}" / "run"  # a report shows its name
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(whole, run)
            length = measured(words_of(command, run, store), work / f"{command}.txt")
            expected[command] = length, products(command, run)
            assert expected[command][1], command
        length, sound = expected[command]
        done = kill(command, whole, store, length, work, number)
        assert done.pop("products") == sound, (command, number)
        log.add(number=number, command=command, **done)
    lines = log.lines[:count]
    return Counter(f"{line['command']}, {'hit' if line['code'] else 'not hit'}" for line in lines)


if __name__ == "__main__":
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    print(json.dumps(campaign(Path(sys.argv[1]), number)))
