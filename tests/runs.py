"""Training runs small enough for a test: a few seconds, the code of the large ones."""

from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from tasd import recipes
from tasd.config import Config, replace
from tasd.run import Run
from tasd.store import Store
from tasd.train import Trained, train

# As options of the command line, for tests that start a process of their own.
SMALL = (
    "network.backbone=resnet18",
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
    from tasd.config import parse_setting

    texts = SMALL + (() if recipe == "baseline" else DISTILL)
    return replace(
        recipes.make(recipe, dataset="folder", shot=1),
        [*map(parse_setting, texts), ("training.episodes", episodes), *settings],
    )


def small_run(store: Path, folder: Path, config: Config, *, resume: Path | None = None) -> Trained:
    """Train in this process, on one thread, silently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (folder.parent / "log.txt").open("a") as log:
            return train(
                config,
                Store(store),
                run=Run(folder),
                device="cpu",
                resume=resume,
                console=Console(file=log),
            )
    finally:
        torch.set_num_threads(threads)
