"""Training on little data: variants compared on validation classes, and one of them tested.

``python -m tests.study OUT FILE...`` trains each variant on each feature file (a split of a data
set's classes, of ``tasd features --backbone``) and prints validation accuracies. With
``--test NAME`` that variant is trained with several seeds and tested, beside the floor. Where the
files are stores, the variants are those that train the backbone (`OF_STORES`). Runs that are there
already are not trained again.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tasd.config import Config
from tasd.evaluation.candidates import of_run
from tasd.evaluation.episodes import EpisodeRequest
from tasd.evaluation.evaluate import evaluate
from tasd.evaluation.floor import with_floor
from tasd.evaluation.metrics import over_seeds
from tasd.extraction.run import Extraction
from tasd.features.reader import open_features
from tasd.features.store import FeatureStore
from tasd.recipes import make
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.frozen import on_features
from tasd.training.loop import train

NONE, ONE = ("network.depth", 0), ("network.depth", 1)
# The fit alone: one episode, which changes nothing that is compared.
START = (("training.episodes", 1), ("training.validation_every", 1))
WCCN = ("network.wccn", 5.0)
Settings = Sequence[tuple[str, Any]]
VARIANTS: dict[str, tuple[str, Settings]] = {
    "WCCN 0.5 alone": ("baseline", [NONE, ("network.wccn", 0.5), *START]),
    "WCCN 5 alone": ("baseline", [NONE, WCCN, *START]),
    "WCCN 20 alone": ("baseline", [NONE, ("network.wccn", 20.0), *START]),
    "encoder": ("baseline", [ONE]),
    "encoder of 4": ("baseline", [("network.depth", 4)]),
    "Eq. 2": ("tasd", [ONE]),
    "Eq. 2, rate 1e-4": ("tasd", [ONE, ("optimiser.lr", 1e-4)]),
    "WCCN 0.5, encoder": ("baseline", [ONE, ("network.wccn", 0.5)]),
    "WCCN 5, encoder": ("baseline", [ONE, WCCN]),
    "WCCN 20, encoder": ("baseline", [ONE, ("network.wccn", 20.0)]),
    "WCCN 5, Eq. 2": ("tasd", [ONE, WCCN]),
    "WCCN 5, Eq. 2, rate 1e-4": ("tasd", [ONE, WCCN, ("optimiser.lr", 1e-4)]),
}
LAST = ("optimiser.layer_decay", 1e-3)  # at its rate only the last layer of the backbone learns
JITTER = ("data.jitter", 0.4)
FAST = ("optimiser.backbone_scale", 1.0)  # 25 times the usual rate of a backbone
EQUATIONS = {"Eq. 2": "ce", "Eq. 9": "at", "Eq. 10": "am", "Eq. 11": "pr"}


def alone(equation: str) -> Settings:
    """Return the settings that leave one term of the distillation."""
    return [(f"distill.{term}", 0) for name, term in EQUATIONS.items() if name != equation]


OF_STORES: dict[str, tuple[str, Settings]] = {
    "WCCN 5 alone": ("baseline", [NONE, WCCN, *START, ("optimiser.lr", 1e-9)]),
    "last stage": ("baseline", [NONE, LAST]),
    "last stage, no flip": ("baseline", [NONE, LAST, ("data.flip", False)]),
    "last stage, jitter": ("baseline", [NONE, LAST, JITTER]),
    "last stage, WCCN 5": ("baseline", [NONE, LAST, WCCN]),
    "last stage, distillation": ("tasd", [NONE, LAST]),
    "all stages": ("baseline", [NONE]),
    "all stages, jitter": ("baseline", [NONE, JITTER]),
    "all stages, distillation": ("tasd", [NONE]),
    "fast": ("baseline", [NONE, FAST]),
    "fast, no flip": ("baseline", [NONE, FAST, ("data.flip", False)]),
    "fast, jitter": ("baseline", [NONE, FAST, JITTER]),
    "fast, WCCN 5": ("baseline", [NONE, FAST, WCCN]),
    "fast, distillation": ("tasd", [NONE, FAST]),
    **{f"fast, {name}": ("tasd", [NONE, FAST, *alone(name)]) for name in EQUATIONS},
    "fast, WCCN 5, Eq. 2": ("tasd", [NONE, FAST, WCCN, *alone("Eq. 2")]),
}
BACKBONE = (
    ("network.backbone", "efficientnet_lite0"),
    ("data.crop", 112),
    ("data.loader", "torch"),
)


def source_of(path: Path) -> Store | FeatureStore:
    """Open a feature file or a store."""
    return Store(path) if path.is_dir() else open_features(path)


def config_of(recipe: str, path: Path, settings: Settings, *, shot: int) -> Config:
    """Return the settings of a run on a feature file or a store."""
    store = source_of(path)
    if isinstance(store, Store):
        return make(recipe, dataset=store.dataset, shot=shot, settings=[*BACKBONE, *settings])
    return on_features(make(recipe, dataset="folder", shot=shot, settings=settings), store)


def trained(name: str, file: Path, out: Path, *, seed: int, args: argparse.Namespace) -> Run:
    """Return the run of a variant, trained now where it is not there."""
    recipe, settings = (OF_STORES if file.is_dir() else VARIANTS)[name]
    run = Run(out / f"{file.stem}-{name.replace(' ', '_')}-seed{seed}")
    if run.best.exists() and not run.last.exists():  # it has ended
        return run
    more = [
        ("episode.queries", args.queries),
        ("training.episodes", args.episodes),
        ("training.validation_every", args.every),
        ("training.seed", seed),
        ("training.precision", "float32"),
        *settings,
    ]
    config = config_of(recipe, file, more, shot=args.shot)
    quiet = Console(file=io.StringIO())
    train(config, source_of(file), run=run, device="cpu", trackers=(), console=quiet)
    for spare in (run.last, run.last.with_name("previous.pt")):
        spare.unlink(missing_ok=True)
    return run


def validated(run: Run) -> tuple[float, float, float]:
    """Return the accuracies of the plain backbone, at episode 0, and of the best."""
    lines = [line for line in run.read_metrics() if line["kind"] == "validation"]
    found = [one["accuracy"] for x in lines for k, one in x.items() if k in ("student", "teacher")]
    return (
        100 * lines[0]["plain"]["accuracy"],
        100 * lines[0]["student"]["accuracy"],
        100 * max(found),
    )


def tested(run: Run, file: Path, *, args: argparse.Namespace) -> tuple[float, float]:
    """Return the test accuracy and the paired gain over the floor, in points."""
    saved, store, how = checkpoint.load(run.best), source_of(file), Extraction()
    candidate = of_run(run, saved, store, how, source=run.best)
    candidate = with_floor(candidate, run, saved, store, how)
    request = EpisodeRequest(way=5, shot=args.shot, queries=1, count=10_000)
    found = evaluate(candidate, request)
    assert found.floor is not None
    gain = found.floor.gain.difference.mean
    return 100 * float(found.accuracy.mean()), 100 * gain


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--test", choices=VARIANTS | OF_STORES)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shot", type=int, default=1)
    parser.add_argument("--queries", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--every", type=int, default=15)
    args = parser.parse_args()
    if args.test:
        rows = [
            [tested(trained(args.test, file, args.out, seed=s, args=args), file, args=args)
             for s in range(args.seeds)]
            for file in args.files
        ]  # fmt: skip
        for file, row in zip(args.files, rows, strict=True):
            print(file.stem, " ".join(f"{a:.1f} ({gain:+.1f})" for a, gain in row), flush=True)
        means = np.array(rows).mean(axis=1)  # of seeds; (files, accuracy and gain)
        gain = over_seeds(means[:, 1])  # Student's t over the splits
        print(
            f"mean {means[:, 0].mean():.1f}, gain {gain.mean:+.2f} ±{gain.half:.2f}, by split "
            + ", ".join(f"{one:+.1f}" for one in means[:, 1])
        )
        return
    for name in args.only or (OF_STORES if args.files[0].is_dir() else VARIANTS):
        found = np.array(
            [validated(trained(name, file, args.out, seed=0, args=args)) for file in args.files]
        )
        each = " ".join(f"{best:.1f}" for best in found[:, 2])
        plain, start, best = found.mean(axis=0)
        print(f"{name} | {plain:.1f} | {start:.1f} | {best:.1f} | {each}", flush=True)


if __name__ == "__main__":
    main()
