"""Training: one loop, read top to bottom."""

import contextlib
import hashlib
import itertools
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tasd import distributed, optimiser
from tasd.checkpoint import Best, Checkpoint, Progress, fill, load
from tasd.config import Config
from tasd.distributed import StepBuffers, World
from tasd.episodes import Episode
from tasd.errors import UserError
from tasd.feature_store import FeatureStore
from tasd.figures import StepFigures, figures
from tasd.learner import Learner
from tasd.loader import EpisodeLoader
from tasd.model import Model
from tasd.plan import Plan, plan, share, training_episodes
from tasd.run import Run
from tasd.signals import StopSignals
from tasd.store import Store
from tasd.teacher import Teacher
from tasd.types import EpisodeBatch, Losses
from tasd.validate import Validation
from tasd.watch import Watch

# What a kill -9 may cost at most where training.save_every names no number of episodes.
SECONDS_BETWEEN_SAVES = 300.0


@dataclass(frozen=True)
class Trained:
    """How training ended: exit_code is 0, or 143 / 130 after SIGTERM / Ctrl-C (all is saved)."""

    run: Run
    best: Best
    exit_code: int


def train(
    config: Config,
    store: Store | FeatureStore,
    *,
    run: Run,
    device: str = "auto",
    resume: Path | None = None,
    command: Sequence[str] = (),
    console: Console | None = None,
) -> Trained:
    """Train ``config`` on the training classes of ``store``; keep the best on its validation ones.

    The test classes cannot be opened: the store is narrowed to train and val first. ``store`` may
    hold the features of a frozen backbone in place of frames (`tasd.frozen`). ``resume`` is the
    checkpoint to go on from; ``command`` is noted in environment.json.

    Raises `UserError`; what was saved before stays.
    """
    world = distributed.start(device)
    narrowed = store.only("train", "val")
    gpus = [world.device] if world.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=gpus):
            return _train(
                config,
                narrowed,
                run,
                world,
                resume=resume,
                command=command,
                console=console or Console(),
            )
    finally:
        world.close()


def _train(
    config: Config,
    store: Store | FeatureStore,
    run: Run,
    world: World,
    *,
    resume: Path | None,
    command: Sequence[str],
    console: Console,
) -> Trained:
    course = plan(config, world)
    config = course.config
    sampler = training_episodes(course, store)
    validation = Validation(config, store, world)
    before = None if resume is None else load(resume, device=world.device)

    torch.manual_seed(config.training.seed)
    learner = Learner(config, classes=tuple(sampler.videos), initialise=before is None)
    learner.to(world.device).train()
    teacher = Teacher(learner.student, config.distill) if config.distill.weights else None
    state = _State(config, store, learner, teacher, optimiser.build(learner, config))
    now = state.restore(before, source=resume) if before is not None else Progress()

    trained = _parallel(_compiled(learner, config), world)
    statistics = StepBuffers([learner])
    loader = EpisodeLoader(
        store,
        share(sampler, done=now.episode, world=world),
        size=config.data.crop,
        device=world.device,
        kind=config.data.loader,
        threads=config.data.threads,
    )
    # All that a person can get wrong is checked by now; only then is anything written.
    if world.leads and before is not None:
        run.rewind_metrics(now.episode)
    elif world.leads:
        run.begin(config, command=list(command))
    with (
        StopSignals() as stop,
        Watch(run, course.episodes, done=now.episode, speaks=world.leads, console=console) as watch,
    ):
        batches = iter(loader)
        if now.episode < course.episodes:
            batches, seconds = _rehearsed(trained, teacher, batches, config)
            statistics.undo()
            watch.expect(seconds / world.size)
        if now.episode == 0:  # where the curve starts; the untrained network is never the best
            validation(state.networks, now, watch)
            if world.leads and config.training.checkpoint_every is not None:
                state.save(run, now, better=False, keep=True)
        began, waited = time.monotonic(), loader.waited
        saved = began
        while now.episode < course.episodes and not world.largest(stop.exit_code):
            optimiser.set_rate(state.optimiser, course.rate(now.step))
            look = now.step == 0 or course.due(
                now.episode + course.per_step, course.gradients_every
            )
            losses, projections, slopes = [], [], {}

            # One episode at a time under its own seed: ranks and resume give the same numbers.
            for position in range(course.own):
                batch = next(batches)
                _seed(config, batch.episode)
                targets = teacher(batch) if teacher is not None else None
                with _synchronised(trained, last=position + 1 == course.own):
                    loss: Losses = trained(batch, targets)
                    if look and position == 0:
                        slopes = optimiser.gradient_norms(loss.terms, loss.features)
                    (loss.total / course.own).backward()
                statistics.after_episode()
                losses.append(replace(loss, features=None))
                if targets is not None and targets.projections is not None:
                    projections.append(targets.projections.mean(dim=0))
                del loss, targets  # their graph is gone, their maps need not stay

            length = optimiser.clip(learner, config.optimiser.clip)
            numbers = figures(losses, learner.weights)
            if world.largest(int(not (math.isfinite(length) and math.isfinite(numbers.loss)))):
                statistics.undo()
                now = replace(now, skipped=now.skipped + 1)
                _tolerate(now, numbers, config, run, watch)
            else:
                state.optimiser.step()
                statistics.after_step(world, episodes=course.own)
                if teacher is not None:
                    teacher.follow(learner.student, coefficient=course.ema(now.step))
                    if projections:
                        teacher.recentre(world.mean(torch.stack(projections).mean(dim=0)))
            state.optimiser.zero_grad(set_to_none=True)
            now = replace(now, episode=now.episode + course.per_step, step=now.step + 1)

            share_waited = (loader.waited - waited) / max(1e-9, time.monotonic() - began)
            watch.step(now.episode, numbers, wait_share=share_waited)
            watch.record(
                "train",
                now.episode,
                **numbers.record,
                gradient=length,
                learning_rate=max(group["lr"] for group in state.optimiser.param_groups),
                wait_share=share_waited,
            )
            if slopes:
                watch.record("gradients", now.episode, terms=slopes)

            if course.due(now.episode, course.validation_every) or now.episode == course.episodes:
                best = validation(state.networks, now, watch)
                better, now = best != now.best, replace(now, best=best)
                if world.leads:
                    state.save(
                        run,
                        now,
                        better=better,
                        keep=course.due(now.episode, config.training.checkpoint_every),
                    )
                began, waited = time.monotonic(), loader.waited
                saved = began
            elif _save_due(course, now, since=saved):
                if world.leads:
                    state.save(run, now, better=False, keep=False)
                saved = time.monotonic()
        exit_code = world.largest(stop.exit_code)
        if exit_code and world.leads:
            state.save(run, now, better=False, keep=False)
            watch.say(f"stopped and saved at episode {now.episode:,}; --resume {run.path} goes on")
    return Trained(run, now.best, exit_code)


def _save_due(course: Plan, now: Progress, *, since: float) -> bool:
    """Whether last.pt is to be written between validations; changes no number of the run."""
    every = course.config.training.save_every
    if every is not None:
        return course.due(now.episode, every)
    return time.monotonic() - since >= SECONDS_BETWEEN_SAVES


@dataclass(frozen=True)
class _State:
    """What training changes, and its way into a checkpoint and back."""

    config: Config
    store: Store | FeatureStore
    learner: Learner
    teacher: Teacher | None
    optimiser: torch.optim.Optimizer

    @property
    def networks(self) -> dict[str, Model]:
        """What is validated."""
        found: dict[str, Model] = {"student": self.learner.student}
        return found | ({"teacher": self.teacher.model} if self.teacher is not None else {})

    def save(self, run: Run, now: Progress, *, better: bool, keep: bool) -> None:
        """Write last.pt; best.pt when this is the best, episode-N.pt when it is to be kept."""
        checkpoint = Checkpoint(
            config=self.config,
            progress=now,
            classes=tuple(self.learner.class_index),
            dataset=self.store.dataset,
            store_hash=self.store.hash,
            learner=self.learner.state_dict(),
            teacher=None if self.teacher is None else self.teacher.state_dict(),
            optimiser=self.optimiser.state_dict(),
        )
        names = [run.best] if better else []
        names += [run.checkpoints / f"episode-{now.episode:06d}.pt"] if keep else []
        checkpoint.save(run.last, keep_previous=True, also=names)

    def restore(self, checkpoint: Checkpoint, *, source: Path | None) -> Progress:
        """Take everything over from a checkpoint of this very run. Raises `UserError`."""
        if checkpoint.store_hash != self.store.hash:
            raise UserError(
                f"{source} was trained on another store (hash {checkpoint.store_hash[:12]}, "
                f"{self.store.path} has {self.store.hash[:12]}); give the --store it was trained on"
            )
        if checkpoint.config != self.config:
            raise UserError(f"{source}: {_difference(checkpoint.config, self.config)}")
        fill(self.learner, checkpoint.learner, source=str(source))
        if self.teacher is not None:
            fill(self.teacher, checkpoint.teacher or {}, source=str(source))
        self.optimiser.load_state_dict(checkpoint.optimiser)
        return checkpoint.progress


def _seed(config: Config, episode: Episode) -> None:
    """Seed dropout: a function of (seed, episode) alone."""
    digest = hashlib.sha256(f"train/{config.training.seed}/{episode.index}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _rehearsed(
    trained: nn.Module, teacher: Teacher | None, batches: Iterator[EpisodeBatch], config: Config
) -> tuple[Iterator[EpisodeBatch], float]:
    """A step that changes nothing, done twice: the second is timed, the first only warms up."""
    first, began = next(batches), 0.0
    for _ in range(2):
        began = time.monotonic()
        _seed(config, first.episode)
        targets = teacher(first) if teacher is not None else None
        trained(first, targets).total.backward()
        trained.zero_grad(set_to_none=True)
        if first.frames.is_cuda:
            torch.cuda.synchronize()
    return itertools.chain([first], batches), time.monotonic() - began


def _parallel(learner: nn.Module, world: World) -> nn.Module:
    if world.size == 1:
        return learner
    devices = [world.device] if world.device.type == "cuda" else None
    return DistributedDataParallel(learner, device_ids=devices, broadcast_buffers=False)


def _compiled(learner: Learner, config: Config) -> Learner:
    if config.training.compile:
        if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
            raise UserError(
                "training.compile = true needs a C++ compiler and none is on the PATH; install g++ "
                "or leave training.compile off"
            )
        learner.student.backbone.compile()
    return learner


def _synchronised(trained: nn.Module, *, last: bool) -> contextlib.AbstractContextManager[Any]:
    """Gradients are exchanged between ranks once a step, with its last episode."""
    if isinstance(trained, DistributedDataParallel) and not last:
        return trained.no_sync()
    return contextlib.nullcontext()


def _tolerate(now: Progress, numbers: StepFigures, config: Config, run: Run, watch: Watch) -> None:
    """Note a step whose loss or gradient was not finite; raise when there were too many."""
    terms = {name: term["raw"] for name, term in numbers.terms.items()}
    told = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
    where = f"episode {now.episode} (seed {config.training.seed}): loss is not finite: {told}"
    if now.skipped > config.training.skip_nonfinite:
        saved = f"the last good checkpoint is {run.last}" if run.last.exists() else "none was saved"
        raise UserError(
            f"{where}; {saved}; lower optimiser.lr, or tolerate N such steps with "
            "--on-nonfinite skip N"
        )
    watch.say(f"{where}; step skipped")


def _difference(was: Config, now: Config) -> str:
    """The first setting in which two configs differ, as a message."""
    left, right = was.model_dump(), now.model_dump()
    for branch, value in left.items():
        if value == right[branch]:
            continue
        if not isinstance(value, dict):
            return f"{branch} was {value!r} and is {right[branch]!r}; start a new run for that"
        leaf = next(k for k in value if value[k] != right[branch][k])
        return (
            f"{branch}.{leaf} was {value[leaf]!r} and is {right[branch][leaf]!r}; resume without "
            "changes, or start a new run"
        )
    raise AssertionError("the configs are equal")
