"""Training runs small enough for a test: a few seconds, the code of the large ones."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from tasd import recipes
from tasd.config import Config
from tasd.recipes.settings import replace
from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training.loop import TrainingResult, train
from tests import forks, narrow  # noqa: F401 - the backbone tiny

# As options of the command line, for tests that start a process of their own.
SMALL = (
    "network.backbone=tiny",
    "network.weights=none",
    "network.depth=1",
    "network.feedforward=64",
    "data.crop=32",
    "data.frames=2",
    "data.loader=torch",
    "episode.queries=1",
    "training.precision=float32",
    "training.validation_every=4",
    "training.validation_episodes=8",
    "training.gradients_every=4",
)
DISTILL = (
    "distill.hidden=32",
    "distill.out_dim=24",
    "distill.states=16",
    "distill.nodes=4",
)


def small_config(*settings: tuple[str, Any], recipe: str = "tasd", episodes: int = 8) -> Config:
    """A recipe with a small network and a few episodes."""
    from tasd.recipes.settings import parse_setting

    texts = SMALL + (DISTILL if recipe in ("tasd", "paper") else ())
    return replace(
        recipes.make(recipe, dataset="folder", shot=1),
        [*map(parse_setting, texts), ("training.episodes", episodes), *settings],
    )


def small_run(
    store: Path,
    folder: Path,
    config: Config,
    *,
    resume: Path | None = None,
    device: torch.device | str = "cpu",
) -> TrainingResult:
    """Train in this process, on one thread, silently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (folder.parent / "log.txt").open("a") as log:
            return train(
                config,
                Store(store),
                run=Run(folder),
                device=str(device),
                resume=resume,
                console=Console(file=log),
            )
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def quiet() -> Iterator[Console]:
    """One thread, and a console that prints nothing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield Console(file=io.StringIO())
    finally:
        torch.set_num_threads(threads)


def tensors(tree, prefix=""):
    """Every tensor of a checkpoint, by its path."""
    if isinstance(tree, torch.Tensor):
        return {prefix: tree}
    items = tree.items() if isinstance(tree, dict) else ()
    return {k: v for name, below in items for k, v in tensors(below, f"{prefix}/{name}").items()}


def state(path: Path):
    checkpoint = load(path)
    return tensors(
        {
            "learner": checkpoint.learner,
            "teacher": checkpoint.teacher or {},
            "optimiser": checkpoint.optimiser["state"],
        }
    )


def assert_equal_bits(one: Path, other: Path) -> None:
    left, right = state(one), state(other)
    assert left.keys() == right.keys()
    assert len(left) > 30
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def lines(run: Run, kind: str):
    untimed = ("wait_share", "seconds")
    found = [line for line in run.read_metrics() if line["kind"] == kind]
    return [{k: v for k, v in line.items() if k not in untimed} for line in found]


def command(store: Path, *extra: str) -> list[str]:
    settings = [word for text in SMALL + DISTILL for word in ("--set", text)]
    own = [sys.executable, "-m", "tasd", "train", "--device", "cpu"]
    return [*own, "--store", str(store), *settings, *extra]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def resume(store: Path, folder: Path) -> subprocess.CompletedProcess:
    own = [sys.executable, "-m", "tasd", "train", "--device", "cpu", "--store", str(store)]
    return forks.run([*own, "--resume", str(folder)], env=environment())


def wait_for_episode(folder: Path, episode: int) -> None:
    deadline = time.monotonic() + 120
    while max((line["episode"] for line in Run(folder).read_metrics()), default=0) < episode:
        assert time.monotonic() < deadline, "the run does not get on"
        time.sleep(0.05)
