"""A run that is tried and not begun: its hours, memory and disk, from a few steps."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from tasd.backbones import CACHED, described
from tasd.backbones.weights import at_hand
from tasd.config import Config
from tasd.errors import Mistakes, UserError
from tasd.features.store import FeatureStore
from tasd.loader import EpisodeLoader
from tasd.loader.encoded import misfits
from tasd.runs.checkpoint import Progress, load
from tasd.runs.folder import Run
from tasd.runs.plain import plain_network
from tasd.store import Store
from tasd.training import distributed, optimiser
from tasd.training.clock import Clock, Seconds
from tasd.training.disk import checkpoint_disk, moments, refuse_unwritable
from tasd.training.distributed import World
from tasd.training.graph import record_passes
from tasd.training.learner import build_learner
from tasd.training.parts import TrainingParts
from tasd.training.plan import TrainingPlan, resolve, share, training_episodes, training_plan
from tasd.training.rehearsed import Rehearsal, Validated
from tasd.training.snapshot import Snapshot
from tasd.training.state import State
from tasd.training.step import Step
from tasd.training.teacher import Teacher
from tasd.training.untrained import began_pretrained
from tasd.training.validation import Validation
from tasd.training.wccn import fit_normalisation
from tasd.types import EpisodeBatch

PREFETCHED = 2  # batches that the loader has ready


def rehearse(
    config: Config,
    store: Store | FeatureStore,
    *,
    run: Run,
    device: str = "auto",
    resume: Path | None = None,
) -> Rehearsal:
    """Try the run that `tasd.training.loop.train` would begin, and write nothing.

    A warm-up and three steps are taken, the first with gradient norms as the run's first, and a few
    videos are validated. Weights that are not on this machine stay random: nothing is downloaded.
    Raises `UserError`.
    """
    world = distributed.start(device)
    gpus = [world.device] if world.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=gpus):
            return _rehearse(config, store.only("train", "val"), run, world, resume)
    finally:
        world.close()


def _rehearse(
    config: Config, store: Store | FeatureStore, run: Run, world: World, resume: Path | None
) -> Rehearsal:
    clock = Clock()
    with Mistakes() as mistakes:
        mistakes.of(refuse_unwritable, run.path)
        config = resolve(config, world)
    plan = training_plan(config, world)
    validation = Validation(
        store, world, episode=config.episode, data=config.data, training=config.training
    )
    before = None if resume is None or run.unsaved else load(resume, device=world.device)
    here = before is not None or _weights_here(config)
    state = _state(config, store, world, initialise=before is None and here, begins=before is None)
    now = state.restore(before, source=resume) if before is not None else Progress()
    if now.episode >= plan.episodes:
        raise UserError(
            f"{run.path} has ended: {now.episode:,} of {plan.episodes:,} episodes are done, so "
            "nothing is left to rehearse; tasd evaluate --run tests it"
        )
    import torch.utils.tensorboard  # as a run does: its memory counts

    step = Step(
        state.learner, world, own=plan.own, seed=config.training.seed, clip=config.optimiser.clip
    )
    batches = _endless(_loader(config, store, plan, now, world))
    first = next(batches)
    start = clock.lap()
    recorded = record_passes(step, state.teacher, first, config)
    tried = clock.lap()
    if plan.trial_due(now, world):
        start += tried
    batches = itertools.chain([first], batches)
    laps, snapshot = [], Snapshot()
    parts = TrainingParts(
        config, state.learner, state.teacher, state.optimiser, step, world, recorded
    )
    optimiser.set_rate(state.optimiser, plan.rate(now))
    for number in range(3):  # also where a loss is not finite
        result = parts.gradients(itertools.islice(batches, plan.own), norms=number == 0)
        parts.update(result, ema=plan.ema(now))
        laps.append(clock.lap())
        if number == 0:  # by now the optimiser has moments; the copy that saves need stays
            snapshot.begin(state.checkpoint(now), passing=())
            snapshot.finish()
            clock.lap()
    plain = (laps[1] + laps[2]) * 0.5
    plain = _slower(plain, _loading(batches) * plan.own)
    each = [validation.rehearse(network) for network in state.networks.values()]
    pretrained = began_pretrained(config, store)
    if before is None and pretrained:
        start += validation.rehearse(plain_network(state.learner.student, config))
    after = list(moments(plan, now))
    validated = [at for at in after if plan.validation_due(at)]
    tested = Validated(
        way=validation.way,
        shot=config.episode.shot,
        classes=len(validation.classes),
        videos=len(validation.videos),
        episodes=len(validation.episodes),
        times=len(validated) + (before is None),
        networks=len(each),
        seconds=sum(each, Seconds()),
    )
    norms = sum(plan.gradient_norms_due(at) for at in (now, *after[:-1]))
    extra = _slower(laps[0], plain) - plain
    remarks = [validation.other_way]
    if isinstance(store, Store):
        remarks += misfits(store, frames=config.data.frames, size=config.data.crop)
    return Rehearsal(
        run=run.path,
        config=config,
        store=Path(store.path),
        device=str(world.device),
        ranks=world.size,
        threads=torch.get_num_threads(),
        weights_here=here,
        episodes=plan.episodes - now.episode,
        episode=plain * (1 / plan.per_step),
        seconds=start + plain * len(after) + extra * norms + tested.seconds * tested.times,
        memory=peak_bytes(world.device),
        disk=checkpoint_disk(
            state,
            plan,
            run.path,
            validated,
            each_step=plain.clock,
            untrained=before is None and pretrained and _candidates(config),
        ),
        validation=tested,
        remarks=tuple(filter(None, remarks)),
    )


def peak_bytes(device: torch.device) -> int:
    """Return the most memory so far: torch's of the GPU, else what this process had resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    try:
        status = Path("/proc/self/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _candidates(config: Config) -> bool:
    """Return True where a start of the run may be its best checkpoint."""
    return config.training.untrained_candidate or config.training.plain_candidate


def _weights_here(config: Config) -> bool:
    if config.network.backbone == CACHED:
        return True
    return at_hand(described(config.network.backbone), config.network.weights)


def _state(
    config: Config, store: Store | FeatureStore, world: World, *, initialise: bool, begins: bool
) -> State:
    """Build both networks and the optimiser as the loop does."""
    torch.manual_seed(config.training.seed)
    learner = build_learner(config, classes=tuple(store.classes("train")), initialise=initialise)
    learner.to(world.device).train()
    if begins:
        fit_normalisation(learner.student, config, store, world)
    teacher = Teacher(learner.student, config.distill) if config.distill.weights else None
    pretrained = config.network.weights != "none"
    optim = optimiser.build(learner, config.optimiser, pretrained=pretrained)
    return State(config, store, learner, teacher, optim)


def _loader(
    config: Config, store: Store | FeatureStore, plan: TrainingPlan, now: Progress, world: World
) -> EpisodeLoader:
    sampler = training_episodes(config, store, episodes=plan.episodes)
    return EpisodeLoader(
        store,
        share(sampler, done=now.episode, world=world),
        size=config.data.crop,
        device=world.device,
        kind=config.data.loader,
        threads=config.data.threads,
    )


def _endless(loader: EpisodeLoader) -> Iterator[EpisodeBatch]:
    """Yield the batches, and the last one again where a short run has too few."""
    last = None
    for last in loader:
        yield last
    while last is not None:
        yield last


def _loading(batches: Iterator[EpisodeBatch]) -> Seconds:
    """Return the time of loading a batch when nothing computes, past those that are ready."""
    for _ in range(PREFETCHED):
        next(batches)
    clock = Clock()
    next(batches)
    return clock.lap()


def _slower(one: Seconds, other: Seconds) -> Seconds:
    return Seconds(max(one.clock, other.clock), max(one.processors, other.processors))
