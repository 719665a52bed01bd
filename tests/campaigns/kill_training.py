"""Kills of training, on frames and on features: at random instructions and at naming calls.

``python -m tests.campaigns.kill_training FOLDER [NUMBER]`` goes on where it stopped.
"""

import json
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import torch

import tasd.cli.train
import tasd.training.loop
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tests.campaigns import forks
from tests.campaigns.forks import Length, measured, tasd, warm
from tests.campaigns.log import CampaignLog
from tests.runs import DISTILL, SMALL, assert_equal_bits, lines
from tests.stores import write_store
from tests.training.test_frozen import SHORT, write

OFTEN = ("training.save_every=2", "training.checkpoint_every=4")
DATA = ("frames", "features")


def make_inputs(folder: Path) -> dict[str, Path]:
    """Make the store and the feature file, once."""
    store, features = folder / "store", folder / "mine.h5"
    if not store.exists():
        write_store(store, frames=4, side=40, videos=4)
    if not features.exists():
        write(features)
    return {"frames": store, "features": features}


def training(data: str, source: Path, out: Path) -> list[object]:
    """Return the command that begins a run."""
    texts = [*SMALL, *DISTILL, *OFTEN] if data == "frames" else [*SHORT, *OFTEN[:2]]
    option = "--store" if data == "frames" else "--features"
    words = ["train", option, source, "--out", out, "--device", "cpu", "--episodes", "8"]
    return [*words, *(word for text in texts for word in ("--set", text))]


def again(data: str, source: Path, out: Path) -> list[object]:
    """Return the command that goes on with whatever a kill left."""
    if not (out / "config.json").exists():
        return training(data, source, out)
    store = ["--store", source] if data == "frames" else []
    return ["train", "--resume", out, "--device", "cpu", *store]


def assert_same(whole: Run, resumed: Run) -> None:
    """Hold a resumed run against one that was not killed."""
    assert_equal_bits(whole.last, resumed.last)
    best, last = load(resumed.best), load(resumed.last)
    assert best.progress.best == last.progress.best == load(whole.last).progress.best
    for kind in ("train", "validation"):
        assert lines(resumed, kind) == lines(whole, kind), kind


def kill(
    number: int,
    whole: dict[str, Run],
    lengths: dict[str, Length],
    inputs: dict[str, Path],
    work: Path,
) -> dict[str, object]:
    """Kill a training, once or twice, resume it, and compare it with the one undisturbed."""
    draw, data = random.Random(number), DATA[number % 2]
    run, log = Run(work / "run"), work / "log.txt"
    shutil.rmtree(run.path, ignore_errors=True)
    log.unlink(missing_ok=True)
    deaths = []
    words = training(data, inputs[data], run.path)
    for _ in range(draw.choice((1, 1, 2))):
        death = lengths[data].death(draw, naming=number // 2 % 2 == 0)
        code = tasd(words, log, death)
        deaths.append([code, death.seconds, death.call, death.after])
        for path in run.checkpoints.glob("*.pt"):
            assert load(path).infinite is None
        if code == 0:
            break
        words = again(data, inputs[data], run.path)
    if deaths[-1][0] != 0:
        assert tasd(words, log) == 0, log.read_text()[-2000:]
    assert forks.said_nothing_bad(log), log.read_text()[-2000:]
    assert_same(whole[data], run)
    return {"number": number, "data": data, "deaths": deaths}


def undisturbed(data: str, inputs: dict[str, Path], folder: Path) -> tuple[Run, Length]:
    """Train once without a kill, and note how long that is."""
    run, noted = Run(folder / f"whole-{data}"), folder / f"whole-{data}.json"
    tried = folder / "warm"
    shutil.rmtree(tried, ignore_errors=True)
    warm(training(data, inputs[data], tried), folder / "whole.txt")
    if not noted.exists():
        shutil.rmtree(run.path, ignore_errors=True)
        length = measured(training(data, inputs[data], run.path), folder / "whole.txt")
        noted.write_text(json.dumps(asdict(length)))
    return run, Length(**json.loads(noted.read_text()))


def campaign(folder: Path, count: int) -> Counter:
    """Do the kills that are left of ``count``, and count those that hit, by data and kind."""
    torch.set_num_threads(1)
    log = CampaignLog(folder, "kill-training")
    inputs = make_inputs(folder)
    made = {data: undisturbed(data, inputs, folder) for data in DATA}
    whole = {data: run for data, (run, _) in made.items()}
    lengths = {data: length for data, (_, length) in made.items()}
    for number in log.left(count):
        began = time.monotonic()
        done = kill(number, whole, lengths, inputs, folder)
        log.add(**done, seconds=round(time.monotonic() - began, 1))
    counts: Counter = Counter()
    for line in log.lines[:count]:
        for code, seconds, _, _ in line["deaths"]:
            where = "not hit" if code == 0 else "name" if seconds is None else "instruction"
            counts[f"{line['data']}, {where}"] += 1
    counts["resumed to the bit"] = min(count, len(log.lines))
    return counts


if __name__ == "__main__":
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    print(dict(campaign(Path(sys.argv[1]), number)))
