"""How long training will take, by a step of each kind of run, done before any of them."""

import time
from collections.abc import Sequence

import torch

from tasd.config import Config
from tasd.device import pick_device
from tasd.loader import EpisodeLoader
from tasd.progress import track
from tasd.reproduce.runs import Planned
from tasd.store import Store
from tasd.training.distributed import World
from tasd.training.learner import build_learner
from tasd.training.plan import resolve, training_episodes
from tasd.training.teacher import Teacher

ENOUGH = 5.0  # seconds: a first step that took as long is not done again for its warm-up


def step_seconds(plans: Sequence[Planned], store: Store, *, device: str) -> dict[str, float]:
    """Seconds for one training episode of each row, by its name.

    A mistake in any row's settings shows here, before hours of the others. Raises `UserError`.
    """
    narrowed, world = store.only("train", "val"), World(0, 1, pick_device(device))
    rows = {planned.row.name: planned.config for planned in plans}
    gpus = [world.device] if world.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        tried = track(rows.items(), total=len(rows), what="trying a step of each", unit="rows")
        return {name: _step_seconds(config, narrowed, world) for name, config in tried}


def _step_seconds(config: Config, store: Store, world: World) -> float:
    config = resolve(config, world)
    sampler = training_episodes(config, store, episodes=1)
    learner = build_learner(config, classes=tuple(sampler.videos)).to(world.device).train()
    teacher = Teacher(learner.student, config.distill) if config.distill.weights else None
    data = config.data
    loader = EpisodeLoader(
        store,
        [sampler[0]],
        size=data.crop,
        device=world.device,
        kind=data.loader,
        threads=data.threads,
    )
    batch = next(iter(loader))

    def step() -> float:
        began = time.monotonic()
        targets = teacher(batch) if teacher is not None else None
        learner(batch, targets).total.backward()
        if batch.frames.is_cuda:
            torch.cuda.synchronize()
        return time.monotonic() - began

    first = step()
    return first if first > ENOUGH else step()
