"""The start of a run: its untrained network, and the plain backbone below it."""

from pathlib import Path
from typing import Any

from tasd.config import Config
from tasd.features.store import FeatureStore
from tasd.model import Model
from tasd.progress import counted
from tasd.runs.checkpoint import Best, Progress
from tasd.runs.folder import Run
from tasd.runs.plain import PLAIN, matcher_of_floor, plain_network
from tasd.store import Store
from tasd.training.log import RunLog
from tasd.training.signals import StopSignals
from tasd.training.state import State
from tasd.training.validation import Stopped, Validation


def began_pretrained(config: Config, store: Store | FeatureStore) -> bool:
    """Return True where the backbone is pretrained: the run's own, or that of its features."""
    if isinstance(store, FeatureStore):
        return bool(store.about.get("weights") != "none")
    return config.network.weights != "none"


def plain_validation(
    student: Model, config: Config, store: Store | FeatureStore, validation: Validation
) -> dict[str, Any]:
    """Validate the plain backbone that a run begins from; empty where that is not pretrained.

    It is the other start of the run beside the untrained network, for the line of episode 0.
    """
    if not began_pretrained(config, store):
        return {}
    plain = plain_network(student, config).train(student.training)
    found = validation.accuracy(plain)
    name, _ = matcher_of_floor(config, channels=student.backbone.channels)
    return {PLAIN: found | {"matcher": name}}


def validate_untrained(
    state: State, validation: Validation, now: Progress, log: RunLog, stop: StopSignals
) -> Best | None:
    """Validate a run's start, and return the best of it; None where it was stopped meanwhile.

    The untrained network is best.pt then, and nothing else is written. Several ranks validate to
    the end: those that stop after different batches would wait for one another for ever. The plain
    backbone is the best where it is better than the untrained network; ties leave it out.
    """
    log.phase(f"validation before training: {counted(len(validation.videos), 'video')}")
    if validation.world.size == 1:
        validation.stopped = lambda: bool(stop.exit_code)
    student = state.learner.student
    try:
        plain = plain_validation(student, state.config, validation.store, validation)
        best = validation(state.networks, now, log, **plain)
    except Stopped:
        state.save_untrained(log.run)
        return None
    validation.stopped = lambda: False
    if plain and state.config.training.plain_candidate:
        accuracy = plain[PLAIN]["accuracy"]
        return Best(now.episode, accuracy, PLAIN) if accuracy > best.accuracy else best
    return best


def outcome_line(best: Best, config: Config) -> str:
    """Say that training has not beaten what it began with, which is the best."""
    validated = f"(validation {best.accuracy:.1%} at episode 0)"
    if best.network == PLAIN:
        return (
            f"nothing that was trained has beaten the plain backbone without encoder {validated}: "
            "best.pt says so, and evaluate, predict and export take the plain backbone"
        )
    if config.network.wccn is not None:
        return (
            f"best.pt holds the start {validated}: pretrained features, normalised within the "
            "training classes"
        )
    return (
        f"training has not beaten the untrained network {validated}: best.pt holds the untrained "
        "network"
    )


def building(config: Config, *, resume: Path | None) -> str:
    """Say what is done before a run has its folder, which may take minutes: a download."""
    if resume is not None:
        return f"reading {resume}"
    network = config.network
    if network.weights == "none" or config.data.features is not None:
        return f"building {network.backbone}"
    return f"building {network.backbone}, loading its weights {network.weights}"


def stopped_at_first(run: Run) -> str:
    """Say what a run leaves that was stopped in its first validation."""
    return (
        f"stopped before the first step: {run.best} holds the untrained network, not validated; "
        f"tasd train --resume {run.path} begins the run again"
    )
