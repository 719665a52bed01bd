"""A process group of two on this machine: each takes steps of several recipes and saves them.

``python -m tests.ranks STORE OUT`` under RANK and WORLD_SIZE, as torchrun sets them.
"""

import itertools
import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from tasd.bench.step import build_parts
from tasd.config import Config
from tasd.loader import EpisodeLoader
from tasd.store import Store
from tasd.training import distributed
from tasd.training.distributed import World
from tasd.training.plan import resolve, share, training_episodes
from tests import forks
from tests.runs import environment, small_config

STEPS, PER_STEP = 2, 4
# Of some recipes, settings that leave weights without a gradient, and a word of their names.
IDLE = {"ta2n": "fuse_", "molo": "scale"}
RECIPES = {
    "tasd": (),
    "ta2n": (),
    "strm": (("matcher.losses", {}), ("training.auxiliary", 0.0)),
    "molo": (("matcher.losses", {"reconstruction": 0.1}),),
}


def config_of(recipe: str) -> Config:
    own = [("training.episodes_per_step", PER_STEP)]
    return small_config(*own, *RECIPES[recipe], recipe=recipe, episodes=STEPS * PER_STEP)


class Taken(NamedTuple):
    """The weights after the steps, the loss of each, and weights that got no gradient."""

    weights: dict[str, torch.Tensor]
    losses: list[float]
    idle: list[str]


def steps(recipe: str, store: Path, world: World) -> Taken:
    """Take `STEPS` steps of this rank's episodes."""
    config = resolve(config_of(recipe), world)
    opened = Store(store).only("train", "val")
    sampler = training_episodes(config, opened, episodes=config.training.episodes)
    parts = build_parts(config, world, classes=tuple(sampler.videos))
    episodes = share(sampler, done=0, world=world)
    size = config.data.crop
    batches = list(EpisodeLoader(opened, episodes, size=size, device="cpu", kind="torch"))
    parts.step.warm_up(batches[0], parts.teacher)
    losses, idle, left = [], [], iter(batches)
    for _ in range(STEPS):
        result = parts.gradients(itertools.islice(left, parts.step.own))
        named = parts.learner.named_parameters()
        idle = [name for name, weight in named if weight.grad is None]
        parts.update(result, ema=0.1)
        losses.append(result.metrics.loss)
    learner = parts.learner
    return Taken(learner.state_dict(), losses, idle)


def start_two(words: list[str], *, second: tuple[str, ...] = ()) -> list[forks.Fork]:
    """The two processes of a group; what they say on stderr is kept. second: words of rank 1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        forks.Fork(
            [*words, *(second if rank else ())],
            env=environment() | group | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=forks.PIPE,
        )
        for rank in range(2)
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    group = distributed.start("cpu")
    told = {recipe: tuple(steps(recipe, Path(sys.argv[1]), group)) for recipe in RECIPES}
    torch.save(told, Path(sys.argv[2]) / f"{os.environ['RANK']}.pt")
    group.close()
