"""Estimate of time and disk: one training step of each row, before any run starts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tasd.config import Config
from tasd.device import pick_device
from tasd.loader import EpisodeLoader
from tasd.progress import track
from tasd.reproduce.runs import PlannedRun
from tasd.store import Store
from tasd.training.distributed import World
from tasd.training.learner import build_learner
from tasd.training.plan import resolve, training_episodes, training_plan
from tasd.training.state import checkpoint_bytes, most_bytes
from tasd.training.teacher import Teacher

LONG_STEP = 5.0  # seconds: a first step that takes longer counts, a shorter one is a warm-up


@dataclass(frozen=True)
class Cost:
    """The cost of a run. seconds: of a training episode. disk: bytes of its checkpoints at most."""

    seconds: float
    disk: int


def costs(plans: Sequence[PlannedRun], store: Store, *, device: str) -> dict[str, Cost]:
    """Time one training episode of each row, and return its cost by the row's name.

    Mistakes in the settings of a row are found here, before other rows train for hours. Raises
    `UserError`.
    """
    narrowed, world = store.only("train", "val"), World(0, 1, pick_device(device))
    rows = {plan.row.name: plan.config for plan in plans}
    gpus = [world.device] if world.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        tracked = track(rows.items(), total=len(rows), what="timing a step of each", unit="rows")
        return {name: _cost(config, narrowed, world) for name, config in tracked}


def _cost(config: Config, store: Store, world: World) -> Cost:
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
    networks = {"student": learner.student} | ({"teacher": teacher.model} if teacher else {})
    last, best = checkpoint_bytes(config, learner, networks)
    disk = most_bytes(last, best, kept=training_plan(config, world).kept)
    return Cost(first if first > LONG_STEP else step(), disk)
