"""Digests of ten training steps of every recipe, to compare two versions to the bit.

``python -m tests.golden [RECIPE ...] [a.b=c ...]`` prints, for each recipe, a digest of the weights
and the optimiser after ten steps and one of metrics.jsonl. Settings are for all recipes: with
``distill.relation_statistics=running`` the recipe tasd takes the steps of version 0.1. Bits depend
on the processor: run both versions on one machine, with one thread (OMP_NUM_THREADS=1).
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from tasd import backbones, recipes
from tasd.recipes import RECIPES
from tasd.recipes.settings import parse_setting, replace
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.loop import train
from tests.narrow import tiny
from tests.runs import DISTILL, SMALL, quiet, tensors
from tests.stores import write_store

FRAMES = "data.frames=4"  # TRX compares triples of frames


def digests(
    recipe: str, store: Path, folder: Path, settings: Sequence[str] = ()
) -> tuple[str, str]:
    """Train ten steps and return the digests of weights and metrics."""
    texts = [*SMALL, FRAMES, *(DISTILL if recipe in ("tasd", "paper") else ())]
    config = replace(
        recipes.make(recipe, dataset="folder", shot=1),
        [
            *map(parse_setting, texts),
            ("training.episodes", 10),
            ("training.episodes_per_step", 1),
            *map(parse_setting, settings),
        ],
    )
    with Store(store) as opened, quiet() as console:
        run = train(config, opened, run=Run(folder), device="cpu", console=console).run
    saved = load(run.last)
    weights, metrics = hashlib.sha256(), hashlib.sha256()
    state = {"l": saved.learner, "t": saved.teacher or {}, "o": saved.optimiser["state"]}
    for name, tensor in sorted(tensors(state).items()):
        weights.update(name.encode() + tensor.contiguous().numpy().tobytes())
    for line in run.read_metrics():
        line.pop("wait_share", None)
        line.pop("seconds", None)
        metrics.update(json.dumps(line, sort_keys=True).encode())
    return weights.hexdigest()[:16], metrics.hexdigest()[:16]


def main() -> None:
    """Print a line for each recipe."""
    torch.set_num_threads(1)
    backbones.BACKBONES["tiny"] = tiny
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "store", frames=8, side=40, videos=4)
        settings = [word for word in sys.argv[1:] if "=" in word]
        chosen = [word for word in sys.argv[1:] if "=" not in word]
        for recipe in chosen or [name for name in RECIPES if name != "demo"]:
            print(recipe, *digests(recipe, store, Path(folder) / recipe, settings), flush=True)


if __name__ == "__main__":
    main()
