"""Training: one loop, read top to bottom."""

import itertools
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from tasd.config import Config
from tasd.errors import UserError
from tasd.features.store import FeatureStore
from tasd.loader import EpisodeLoader
from tasd.loader.encoded import check_crop
from tasd.runs.checkpoint import Best, Progress, load
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.training import distributed, optimiser
from tasd.training.distributed import World
from tasd.training.learner import Learner
from tasd.training.log import RunLog, StepMetrics
from tasd.training.plan import TrainingPlan, share, training_episodes, training_plan
from tasd.training.signals import StopSignals
from tasd.training.state import State
from tasd.training.step import Step
from tasd.training.teacher import Teacher
from tasd.training.validation import Validation

# What a kill -9 may cost at most where training.save_every names no number of episodes.
SECONDS_BETWEEN_SAVES = 300.0


@dataclass(frozen=True)
class TrainingResult:
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
) -> TrainingResult:
    """Train ``config`` on the training classes of ``store``; keep the best on its validation ones.

    The test classes cannot be opened: the store is narrowed to train and val first. ``store`` may
    hold the features of a frozen backbone in place of frames (`tasd.training.frozen`). ``resume``
    is the checkpoint to go on from, which is missing where nothing was saved yet; ``command`` is
    noted in environment.json.

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
    except RuntimeError as error:
        if not world.lost(error):
            raise
        raise UserError(
            f"rank {world.rank} of {world.size} lost its group ({distributed.reason(error)}): "
            f"another rank has ended; --resume {run.path} goes on from what was saved last, on "
            "any number of ranks that divides training.episodes_per_step"
        ) from None
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
) -> TrainingResult:
    plan = training_plan(config, world)
    config = plan.config
    sampler = training_episodes(plan, store)
    if isinstance(store, Store):
        check_crop(store, config.data.crop)  # before any weights are downloaded
    validation = Validation(config, store, world)
    again = resume is not None and run.unsaved
    before = None if resume is None or again else load(resume, device=world.device)

    torch.manual_seed(config.training.seed)
    learner = Learner(config, classes=tuple(sampler.videos), initialise=before is None)
    learner.to(world.device).train()
    teacher = Teacher(learner.student, config.distill) if config.distill.weights else None
    state = State(config, store, learner, teacher, optimiser.build(learner, config))
    now = state.restore(before, source=resume) if before is not None else Progress()

    _compile(learner, config)
    step = Step(config, learner, teacher=teacher, optimiser=state.optimiser, world=world)
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
        run.begin(config, command=list(command), again=again)
    with (
        StopSignals() as stop,
        RunLog(run, plan.episodes, done=now.episode, speaks=world.leads, console=console) as log,
    ):
        batches = iter(loader)
        if now.episode < plan.episodes:
            first = next(batches)
            log.expect(step.rehearse(first) / world.size)
            batches = itertools.chain([first], batches)
        if now.episode == 0:  # where the curve starts; the untrained network is never the best
            validation(state.networks, now, log)
            if world.leads and config.training.checkpoint_every is not None:
                state.save(run, now, better=False, keep=True)
        began, waited = time.monotonic(), loader.waited
        saved = began
        while now.episode < plan.episodes and not world.largest(stop.exit_code):
            optimiser.set_rate(state.optimiser, plan.rate(now.step))
            look = now.step == 0 or plan.due(now.episode + plan.per_step, plan.gradients_every)
            passed = step.passes(batches, own=plan.own, look=look)
            numbers = passed.numbers
            if world.largest(int(not passed.finite)):
                step.undo()
                now = replace(now, skipped=now.skipped + 1)
                _tolerate(now, numbers, config, run, log)
            else:
                step.update(passed, ema=plan.ema(now.step))
            now = replace(now, episode=now.episode + plan.per_step, step=now.step + 1)

            share_waited = (loader.waited - waited) / max(1e-9, time.monotonic() - began)
            log.step(now.episode, numbers, wait_share=share_waited)
            log.record(
                "train",
                now.episode,
                **numbers.record,
                gradient=passed.length,
                learning_rate=max(group["lr"] for group in state.optimiser.param_groups),
                wait_share=share_waited,
            )
            if passed.gradient_norms:
                log.record("gradients", now.episode, terms=passed.gradient_norms)

            if plan.due(now.episode, plan.validation_every) or now.episode == plan.episodes:
                best = validation(state.networks, now, log)
                better, now = best != now.best, replace(now, best=best)
                if world.leads:
                    state.save(
                        run,
                        now,
                        better=better,
                        keep=plan.due(now.episode, config.training.checkpoint_every),
                    )
                began, waited = time.monotonic(), loader.waited
                saved = began
            elif _save_due(plan, now, since=saved):
                if world.leads:
                    state.save(run, now, better=False, keep=False)
                saved = time.monotonic()
        exit_code = world.largest(stop.exit_code)
        if exit_code and world.leads:
            state.save(run, now, better=False, keep=False)
            log.say(f"stopped and saved at episode {now.episode:,}; --resume {run.path} goes on")
    return TrainingResult(run, now.best, exit_code)


def _save_due(plan: TrainingPlan, now: Progress, *, since: float) -> bool:
    """Whether last.pt is to be written between validations; changes no number of the run."""
    every = plan.config.training.save_every
    if every is not None:
        return plan.due(now.episode, every)
    return time.monotonic() - since >= SECONDS_BETWEEN_SAVES


def _compile(learner: Learner, config: Config) -> None:
    if config.training.compile:
        if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
            raise UserError(
                "training.compile = true needs a C++ compiler and none is on the PATH; install g++ "
                "or leave training.compile off"
            )
        backbone = learner.student.backbone
        if backbone.gradient_checkpointing and not backbone.batchnorm_frozen:
            raise UserError(
                "training.compile = true with network.gradient_checkpointing = true needs frozen "
                "BatchNorm, which network.weights = 'none' and network.batchnorm = 'live' exclude; "
                "leave one of the two off"
            )
        backbone.compile()


def _tolerate(now: Progress, numbers: StepMetrics, config: Config, run: Run, log: RunLog) -> None:
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
    log.say(f"{where}; step skipped")
