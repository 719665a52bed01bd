"""Training: one loop, read top to bottom."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from tasd.config import Config
from tasd.errors import UserError
from tasd.features.store import FeatureStore
from tasd.loader import EpisodeLoader
from tasd.loader.encoded import check_crop, misfits
from tasd.progress import PhaseLine
from tasd.runs.checkpoint import Best, Progress, load
from tasd.runs.folder import Run
from tasd.runs.lock import RunLock
from tasd.runs.progress import goes_on
from tasd.runs.repair import repair
from tasd.store import Store
from tasd.store.verify import Verification
from tasd.training import distributed, optimiser
from tasd.training.agreement import identity
from tasd.training.compiled import compile_backbone
from tasd.training.distributed import World
from tasd.training.graph import Recorded, record_passes
from tasd.training.learner import build_learner
from tasd.training.log import RunLog, Waiting
from tasd.training.nonfinite import tolerate
from tasd.training.plan import resolve, share, training_episodes, training_plan
from tasd.training.saver import Saver
from tasd.training.signals import STOPPING, StopSignals
from tasd.training.state import State
from tasd.training.step import Step
from tasd.training.teacher import Teacher
from tasd.training.untrained import (
    began_pretrained,
    building,
    outcome_line,
    stopped_at_first,
    validate_untrained,
)
from tasd.training.validation import Validation
from tasd.training.wccn import fit_normalisation


@dataclass(frozen=True)
class TrainingResult:
    """The end of training: exit_code is 0, or 143 / 130 after SIGTERM / Ctrl-C (all is saved)."""

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
    numbered: bool = False,
    verify: bool = True,
    command: Sequence[str] = (),
    trackers: Sequence[str] | None = None,
    console: Console | None = None,
) -> TrainingResult:
    """Train ``config`` on the training classes of ``store``; keep the best on its validation ones.

    The test classes cannot be opened: the store is narrowed to train and val first. ``store`` may
    hold the features of a frozen backbone in place of frames (`tasd.training.frozen`). ``resume``
    is the checkpoint to go on from; where it is missing because nothing was saved yet, the run is
    begun again. The run's folder is locked while it is written; ``numbered`` adds a number to a new
    one whose name is taken. ``verify``: compare the shards with their digests meanwhile
    (`tasd.store.verify`). ``command`` is noted in environment.json. ``trackers``: by name, see
    `tasd.runs.tracking`; None for TensorBoard, or those that a resumed run has.

    Raises `UserError`; what was saved before stays.
    """
    world = distributed.start(device)
    narrowed = store.only("train", "val")
    gpus = [world.device] if world.device.type == "cuda" else []
    console = console or Console()
    try:
        with (
            torch.random.fork_rng(devices=gpus),
            RunLock() as lock,
            PhaseLine(console, silent=not world.leads) as phase,
        ):
            return _train(
                config,
                narrowed,
                run,
                world,
                lock=lock,
                resume=resume,
                numbered=numbered,
                verify=verify,
                command=command,
                trackers=trackers,
                console=console,
                phase=phase,
            )
    except RuntimeError as error:
        if not world.lost(error):
            raise
        raise UserError(
            f"rank {world.rank} of {world.size} lost its group ({distributed.reason(error)}): "
            f"another rank has ended; --resume {run.path} goes on from the last checkpoint, on "
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
    lock: RunLock,
    resume: Path | None,
    numbered: bool,
    verify: bool,
    command: Sequence[str],
    trackers: Sequence[str] | None,
    console: Console,
    phase: PhaseLine,
) -> TrainingResult:
    config = resolve(config, world)
    plan = training_plan(config, world)
    sampler = training_episodes(config, store, episodes=plan.episodes)
    if isinstance(store, Store):
        check_crop(store, config.data.crop)  # before any weights are downloaded
    validation = Validation(
        store,
        world,
        episode=config.episode,
        data=config.data,
        training=config.training,
        untrained=config.training.untrained_candidate and began_pretrained(config, store),
    )
    if world.leads and resume is not None:
        lock.take(run.path)
    elif world.leads and not numbered:
        run.refuse_others()  # before hours of downloads
    begin_again = resume is not None and run.unsaved
    phase(building(config, resume=None if begin_again else resume))
    before = None if resume is None or begin_again else load(resume, device=world.device)

    torch.manual_seed(config.training.seed)
    learner = build_learner(config, classes=tuple(sampler.videos), initialise=before is None)
    learner.to(world.device).train()
    student = learner.student
    if before is None:
        fit_normalisation(student, config, store, world)
    teacher = Teacher(student, config.distill) if config.distill.weights else None
    pretrained = config.network.weights != "none"
    optim = optimiser.build(learner, config.optimiser, pretrained=pretrained)
    state = State(config, store, learner, teacher, optim)
    now = state.restore(before, source=resume) if before is not None else Progress()

    if config.training.compile:
        compile_backbone(student.backbone)
    step = Step(learner, world, own=plan.own, seed=config.training.seed, clip=config.optimiser.clip)
    loader = EpisodeLoader(
        store,
        share(sampler, done=now.episode, world=world),
        size=config.data.crop,
        device=world.device,
        kind=config.data.loader,
        threads=config.data.threads,
    )
    state.refuse_infinite(run, now)
    if world.size > 1:
        world.agree(identity(config, store, state, now))
    # All that a person can get wrong is checked by now; only then is anything written.
    mended = ""
    if world.leads and before is not None:
        best, mended = repair(run, before)
        now = replace(now, best=best)
        run.rewind_metrics(now.episode)
        run.change(config)
    elif world.leads:
        run = run if begin_again else run.claim(numbered=numbered)
        lock.take(run.path)
        run.begin(config, command=list(command), again=begin_again)
    run, now = world.from_leader((run, now))
    phase.end()
    verified = verify and world.first_on_host
    with (
        Verification(store.shards if isinstance(store, Store) and verified else ()) as verification,
        StopSignals(STOPPING if world.leads else "") as stop,
        RunLog(
            run,
            plan.episodes,
            done=now.episode,
            speaks=world.leads,
            console=console,
            trackers=trackers,
        ) as log,
        Saver(state, run, plan, writes=world.leads) as save,
    ):
        log.config(config.model_dump(mode="json"))
        if mended:
            log.say(mended)
        if isinstance(store, Store):
            for misfit in misfits(store, frames=config.data.frames, size=config.data.crop):
                log.say(misfit)
        log.say(state.sizes(run, kept=plan.kept))
        if validation.other_way:
            log.say(validation.other_way)
        batches, recorded = iter(loader), Recorded()
        if plan.trial_due(now, world):
            log.phase("first step: one episode is tried, nothing is learnt from it")
            first = next(batches)
            recorded = record_passes(step, teacher, first, config)
            if world.device.type == "cuda":
                log.say(recorded.line)
            log.expect(recorded.seconds / world.size)
            batches = itertools.chain([first], batches)
        if before is None:  # where the curve starts
            start = validate_untrained(state, validation, now, log, stop)
            if start is None:
                log.say(stopped_at_first(run))
                return TrainingResult(run, now.best, stop.exit_code)
            better, now = start != now.best, replace(now, best=start)
            save.untrained(now, better=better)
        waiting = Waiting(loader)
        learn = step.network  # the learner, wrapped where ranks exchange gradients

        while now.episode < plan.episodes and not world.largest(stop.exit_code):
            optimiser.set_rate(optim, plan.rate(now))
            learner.keep_pace(plan.pace(now))
            norms = plan.gradient_norms_due(now)
            for batch in itertools.islice(batches, plan.own):
                if recorded.replay(batch, norms=norms):  # on a GPU: what follows, recorded
                    continue
                with step.episode(batch):
                    targets = teacher(batch) if teacher is not None else None
                    losses = learn(batch, targets, gradient_norms=norms)
                    (losses.total / plan.own).backward()
                step.add(losses, targets)
                norms = False  # only in a step's first episode
                del losses, targets  # so that their maps do not stay beside the next episode's
            result = step.finish()
            if result.finite:
                save.settle()  # a save copies the weights of before this update
                optimiser.step(optim)
                step.update()
                if teacher is not None:
                    teacher.follow(student, coefficient=plan.ema(now))
                    teacher.recentre(result.projection)
            else:
                step.undo()
                save.wait()  # so that the newest checkpoint is named
                now = replace(now, skipped=now.skipped + 1)
                tolerate(now, result.metrics, config, run, log)
            now = replace(now, episode=now.episode + plan.per_step, step=now.step + 1)
            verification.check()
            log.step(now.episode, result, rate=optimiser.rate(optim), wait_share=waiting.share())

            if plan.validation_due(now):
                best = validation(state.networks, now, log)
                better, now = best != now.best, replace(now, best=best)
                save.validated(now, better=better)
                waiting.restart()
            elif save.due(now):
                save(now)
        exit_code = world.largest(stop.exit_code)
        verification.check()
        if verification.left():
            log.say(f"shards not verified yet: {verification.left()}; tasd check does it")
        if exit_code:
            save.stopped(now)
            log.say(f"stopped and saved at episode {now.episode:,}; {goes_on(run)}")
        elif now.best.episode == 0 <= now.best.accuracy:
            log.say(outcome_line(now.best, config))
    return TrainingResult(run, now.best, exit_code)
