"""Pairs of commands that begin at once on one run: no number is that of another network.

``python -m tests.campaigns.pairs FOLDER [NUMBER]`` goes on where it stopped.
"""

import itertools
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from tasd.evaluation.results import read_document
from tasd.predict.export import read_export
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.runs.repair import repair
from tests.campaigns import forks
from tests.campaigns.forks import tasd
from tests.campaigns.kill_commands import warm_up, words_of
from tests.campaigns.kill_training import again, assert_same, make_inputs, undisturbed
from tests.campaigns.log import CampaignLog

COMMANDS = ("resume", "evaluate", "features", "export", "report")
PAIRS = list(itertools.combinations_with_replacement(COMMANDS, 2))


def half_way(whole: Run, run: Path) -> Run:
    """Return a copy of a run of eight episodes as it was after four."""
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole.path, run)
    found = Run(run)
    shutil.copy(found.checkpoints / "episode-000004.pt", found.last)
    found.best.unlink()
    found.rewind_metrics(4)
    (found.checkpoints / "episode-000008.pt").unlink(missing_ok=True)
    repair(found, load(found.last))
    assert load(found.best).progress.best.episode <= 4
    return found


def tested(run: Path, store: Path, log: Path) -> dict[str, Any]:
    """Return accuracies by the sha256 of the checkpoint that each result names."""
    assert tasd(words_of("evaluate", run, store), log) == 0, log.read_text()
    return by_checkpoint(run)


def by_checkpoint(run: Path) -> dict[str, Any]:
    found = map(read_document, (run / "evaluation").glob("*.json"))
    return {r["provenance"]["checkpoint"]["sha256"]: r["networks"] for r in found}


def at_once(pair: tuple[str, str], run: Path, store: Path, work: Path) -> list[int]:
    """Start both commands, wait for both, and check what they said."""
    logs = [work / f"{side}.txt" for side in "ab"]
    for log in logs:
        log.unlink(missing_ok=True)
    words = [
        again("frames", store, run) if c == "resume" else words_of(c, run, store) for c in pair
    ]
    started = [forks.start(w, log) for w, log in zip(words, logs, strict=True)]
    codes = [forks.wait(pid) for pid in started]
    for code, log in zip(codes, logs, strict=True):
        assert code in (0, 1), log.read_text()
        assert forks.said_nothing_bad(log), log.read_text()
    assert 0 in codes, [log.read_text() for log in logs]
    return codes


def campaign(folder: Path, count: int) -> Counter:
    """Do the pairs that are left of ``count``, and count how they ended."""
    torch.set_num_threads(1)
    log, store = CampaignLog(folder, "pairs"), make_inputs(folder)["frames"]
    whole = undisturbed("frames", {"frames": store}, folder)[0]
    work = folder / "pairs"
    work.mkdir(exist_ok=True)
    begun = half_way(whole, work / "half")
    for command in COMMANDS[1:]:  # what a training imports is here
        warm_up(command, whole.path, store, work)
    sound: dict[str, Any] = {}
    for number in log.left(count):
        pair = PAIRS[number % len(PAIRS)]
        run = Run(work / "run")
        shutil.rmtree(run.path, ignore_errors=True)
        shutil.copytree(begun.path, run.path)
        codes = at_once(pair, run.path, store, work)
        if "resume" in pair:
            assert_same(whole, run)
        if (run.path / "export").exists():
            read_export(run.path / "export")
        found = by_checkpoint(run.path)
        for identity in set(found) - set(sound):  # each network alone, in a folder of its own
            alone = work / "alone"
            shutil.rmtree(alone, ignore_errors=True)
            of_now = load(run.best).sha256 == identity
            shutil.copytree(run.path if of_now else begun.path, alone)
            for name in ("features", "evaluation"):
                shutil.rmtree(alone / name, ignore_errors=True)
            sound |= tested(alone, store, work / "log.txt")
        assert all(found[identity] == sound[identity] for identity in found)
        log.add(number=number, pair=pair, codes=codes)
    return Counter(" + ".join(line["pair"]) + f" {line['codes']}" for line in log.lines[:count])


if __name__ == "__main__":
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    print(json.dumps(campaign(Path(sys.argv[1]), number)))
