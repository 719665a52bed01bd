"""Single settings of a config, replaced and checked: the options of a command, and ``--set``."""

import json
import operator
from collections.abc import Sequence
from typing import Any

from tasd.config import RECORDED_OPTIONS, Config, validate
from tasd.errors import Mistakes, UserError
from tasd.registry import pick, typed_as

# A setting, and the terms of which one must be on for it to have an effect.
_NEEDS = {
    "distill.ce_pairs": ("ce",),
    "distill.hidden": ("ce",),
    "distill.bottleneck": ("ce",),
    "distill.out_dim": ("ce",),
    "distill.student_temperature": ("ce",),
    "distill.teacher_temperature": ("ce",),
    "distill.teacher_temperature_start": ("ce",),
    "distill.centre_momentum": ("ce",),
    "distill.mask_temperature": ("am",),
    "distill.map_pairs": ("at", "am", "pr"),
    "distill.form": ("at", "am", "pr"),
    "distill.root": ("at", "am", "pr"),
    "distill.states": ("pr",),
    "distill.nodes": ("pr",),
    "distill.projection": ("pr",),
    "distill.relation_statistics": ("pr",),
    "distill.start": ("ce", "at", "am", "pr"),
    "distill.ema": ("ce", "at", "am", "pr"),
    "distill.ema_start": ("ce", "at", "am", "pr"),
}
# Settings without effect on a run that reads cached features.
_FRAMES_ONLY = (
    "data.crop",
    "data.flip",
    "data.jitter",
    "data.loader",
    "data.threads",
    "network.backbone",
    "network.weights",
    "network.batchnorm",
    "network.pooling",
    "network.gradient_checkpointing",
    "network.allow_pretrained_overlap",
    "optimiser.backbone_scale",
    "optimiser.layer_decay",
    "training.channels_last",
    "training.compile",
)

# A setting, and the value of another setting that leaves it without effect.
_IDLE: dict[str, tuple[str, Any]] = {
    "network.heads": ("network.depth", 0),
    "network.feedforward": ("network.depth", 0),
    "network.dropout": ("network.depth", 0),
    "optimiser.warmup": ("optimiser.schedule", "constant"),
    "optimiser.backbone_scale": ("network.weights", "none"),
    "training.untrained_candidate": ("network.weights", "none"),
    "training.plain_candidate": ("network.weights", "none"),
}
# A setting, and the one value of another setting that gives it an effect.
_ONLY_WITH: dict[str, tuple[str, Any]] = {
    "optimiser.step_at": ("optimiser.schedule", "step"),
    "optimiser.step_factor": ("optimiser.schedule", "step"),
    "optimiser.momentum": ("optimiser.name", "sgd"),
}


def parse_setting(text: str) -> tuple[str, Any]:
    """Split ``a.b=c`` into ("a.b", value); a value that is not JSON is text. Raises `UserError`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {text!r} is not of the form a.b=c, as in --set optimiser.lr=1e-4")
    try:
        return key.strip(), json.loads(value)
    except (json.JSONDecodeError, RecursionError):
        return key.strip(), value.strip()


def replace(config: Config, settings: Sequence[tuple[str, Any]]) -> Config:
    """Return ``config`` with single settings replaced and checked. Raises `UserError`."""
    tree = config.model_dump()
    with Mistakes() as mistakes:
        for key, value in settings:
            mistakes.of(_put, tree, key, value)
        changed = mistakes.of(validate, tree, source="--set", settings=settings)
    assert changed is not None
    with Mistakes() as mistakes:
        for key, value in settings:
            mistakes.of(_check_effect, changed, key, value)
        if config.data.features is not None:
            mistakes.of(_check_on_features, changed, settings)
    return changed


def accepted(config: Config, settings: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the settings that are right, one after the other, so that the rest can be checked."""
    found: list[tuple[str, Any]] = []
    for setting in settings:
        key = setting[0]
        least = [(key, _LEAST[key])] if key in _LEAST else []
        for chosen in (setting, *least):
            try:
                replace(config, [*found, chosen])
            except UserError:
                continue
            found.append(chosen)
            break
    return found


# In place of a wrong value, so that no mistake is told that follows from the default.
_LEAST = {"data.crop": 32, "episode.way": 2, "episode.queries": 1}


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value into the tree of settings. Raises `UserError` where it has no such setting."""
    *parents, leaf = key.split(".")
    branch, what = tree, "setting"
    for parent in parents:
        branch, what = pick(branch, parent, what=what), f"setting of {parent}"
        if not isinstance(branch, dict):
            raise UserError(f"there is no setting {str(key)!r}: {parent} has no parts")
    # The options and losses of a matcher are open: the matcher itself checks their names.
    if parents[:1] != ["matcher"]:
        pick(branch, leaf, what=what)
    if key == "matcher.name" and value != branch["name"]:
        _drop_recorded(branch)
    branch[leaf] = value


def _check_effect(config: Config, key: str, value: Any) -> None:
    """Raise `UserError` where a setting has no effect beside the others."""
    needed = _NEEDS.get(key, ())
    if needed and not any(term in config.distill.weights for term in needed):
        terms = " or ".join(f"distill.{term}" for term in needed)
        raise UserError(
            f"{typed_as(key, value)} has no effect: it needs {terms} above 0; set that too, or "
            f"leave out {key}"
        )
    other, idle = _IDLE.get(key, ("", None))
    cached = other == "network.weights" and config.data.features  # weights of the file count
    if other and not cached and operator.attrgetter(other)(config) == idle:
        raise UserError(
            f"{typed_as(key, value)} has no effect while {other} is {idle!r}; leave it out"
        )
    other, only = _ONLY_WITH.get(key, ("", None))
    if other and operator.attrgetter(other)(config) != only:
        raise UserError(
            f"{typed_as(key, value)} has no effect unless {other} is {only!r}; leave it out"
        )


def _drop_recorded(matcher: dict[str, Any]) -> None:
    """Drop the options that a config records by itself: another matcher does not have them."""
    recorded, options = RECORDED_OPTIONS.get(matcher["name"], {}), matcher["options"]
    if isinstance(options, dict):
        matcher["options"] = {k: v for k, v in options.items() if (k, v) not in recorded.items()}


def _check_on_features(config: Config, settings: Sequence[tuple[str, Any]]) -> None:
    with Mistakes() as mistakes:
        for key, value in settings:
            if key in _FRAMES_ONLY:
                told = f"{typed_as(key, value)} has no effect with --features; leave it out"
                mistakes.add(UserError(told))
        if config.distill.uses_maps:
            raise UserError(
                "distill.at, distill.am and distill.pr need the network's feature maps, which a "
                "file of --features lacks; leave them out, or train on frames"
            )
