"""The settings of a run: a frozen tree with one branch for each part that it configures.

A recipe (`tasd.recipes`) makes a `Config`; command line options and ``--set a.b=c`` replace
single settings. Unknown keys, wrong types and settings without effect are errors.
"""

import json
import operator
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasd.errors import UserError
from tasd.registry import pick

PairMode = Literal["CS", "SS", "QS"]


class _Options(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


class EpisodeOptions(_Options):
    """The shape of a training episode."""

    way: int = Field(5, ge=2)
    shot: int = Field(1, ge=1)
    queries: int = Field(5, ge=1, description="query videos per class")


class DataOptions(_Options):
    """Frames of each video, or their cached features, and how the loader reads them."""

    features: str | None = Field(None, description="file of features in place of frames")
    frames: int = Field(8, ge=1)
    crop: int = Field(224, ge=32, description="side of the crop in pixels")
    flip: bool = True
    jitter: float = Field(0.0, ge=0, lt=1, description="strength of colour jitter")
    loader: Literal["auto", "dali", "torch"] = "auto"
    threads: int = Field(2, ge=1, description="decoding threads")


class NetworkOptions(_Options):
    """Backbone and temporal encoder; student and teacher alike."""

    backbone: str = "resnet50"
    channels: int | None = Field(None, ge=1, description="of features in place of a backbone")
    weights: str = Field(
        "imagenet", description="'imagenet', 'kinetics400', 'none', a file; timm: 'pretrained'"
    )
    pooling: Literal["own", "mean"] = Field(
        "own", description="of frames: the backbone's own, as a class token; or the mean of maps"
    )
    batchnorm: Literal["auto", "frozen", "live"] = "auto"
    depth: int = Field(4, ge=0, description="layers of the temporal encoder")
    heads: int = Field(8, ge=1)
    feedforward: int = Field(2048, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    gradient_checkpointing: bool = False
    allow_pretrained_overlap: bool = Field(
        False, description="accept weights that have seen the test classes; marks every result"
    )

    @model_validator(mode="before")
    @classmethod
    def _name_weights(cls, given: Any) -> Any:
        """Record the weights of a timm model by the name that they have there."""
        if not isinstance(given, dict) or not isinstance(given.get("backbone"), str):
            return given
        weights = given.get("weights", "imagenet")
        return given | {"weights": weights_name(given["backbone"], weights)}


def weights_name(backbone: str, weights: Any) -> Any:
    """Return the name of published weights: the default "imagenet" is timm's "pretrained"."""
    return "pretrained" if backbone.startswith("timm/") and weights == "imagenet" else weights


# Options whose default has changed; every config records them, so that a file without them is known
# to be older (`tasd.runs.rules`).
RECORDED_OPTIONS: dict[str, dict[str, Any]] = {"prototype": {"rule": "prototype"}}


class MatcherOptions(_Options):
    """The matcher and its own options, which the matcher itself checks."""

    name: str = "bimhm"
    options: dict[str, Any] = {}
    losses: dict[str, float] = Field({}, description="weights of the matcher's own losses")

    @model_validator(mode="before")
    @classmethod
    def _record(cls, given: Any) -> Any:
        """Add the `RECORDED_OPTIONS` that are not given."""
        options = given.get("options", {}) if isinstance(given, dict) else None
        if not isinstance(options, dict):
            return given  # refused by the fields' own types
        return given | {"options": RECORDED_OPTIONS.get(str(given.get("name")), {}) | options}


class DistillOptions(_Options):
    """Weights and forms of the distillation terms; a term of weight 0 builds no parameters."""

    ce: float = Field(1.0, ge=0, description="Eq. 2, between projections")
    at: float = Field(1.0, ge=0, description="Eq. 9, between attention maps")
    am: float = Field(0.5, ge=0, description="Eq. 10, between masked maps")
    pr: float = Field(0.5, ge=0, description="Eq. 11, between pixel relations")
    ce_pairs: PairMode = "CS"
    map_pairs: PairMode = "SS"
    hidden: int = Field(2048, ge=1)
    bottleneck: int = Field(256, ge=1)
    out_dim: int = Field(4096, ge=2)
    student_temperature: float = Field(0.1, gt=0)
    teacher_temperature: float = Field(0.04, gt=0)
    centre_momentum: float = Field(0.9, ge=0, lt=1)
    mask_temperature: float = Field(1.0, gt=0)
    form: Literal["mean", "sum"] = "mean"
    root: Literal["pair", "batch"] = "pair"
    states: int = Field(256, ge=1, description="C1 of the GloRe unit")
    nodes: int = Field(32, ge=1, description="C2 of the GloRe unit")
    projection: Literal["learned_from_map", "fixed"] = "learned_from_map"
    relation_statistics: Literal["episode", "running"] = Field(
        "episode", description="of the teacher's GloRe unit; the student has those of the episode"
    )
    ema: Literal["cosine", "constant"] = "cosine"
    ema_start: float | None = Field(None, gt=0, le=1, description="lambda of Eq. 1 at the start")

    @property
    def weights(self) -> dict[str, float]:
        """The weights above 0, by term."""
        every = {"ce": self.ce, "at": self.at, "am": self.am, "pr": self.pr}
        return {name: weight for name, weight in every.items() if weight > 0}

    @property
    def uses_maps(self) -> bool:
        """True where any term compares feature maps."""
        return bool(self.weights.keys() & {"at", "am", "pr"})


class OptimiserOptions(_Options):
    """Optimiser and schedule; the schedule counts optimiser steps."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = Field(5e-4, gt=0)
    backbone_scale: float = Field(0.04, ge=0, description="backbone's lr / lr, when pretrained")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="factor on the rate from a layer of the backbone to the next"
    )
    weight_decay: float = Field(1e-4, ge=0)
    clip: float | None = Field(1.0, gt=0, description="largest norm of the gradient")
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: int | None = Field(None, ge=0, description="episodes; default min(500, episodes/10)")


class TrainingOptions(_Options):
    """Length, precision, validation, checkpoints and gradient norms."""

    episodes: int = Field(30_000, ge=1)
    episodes_per_step: int | None = Field(None, ge=1, description="default: the number of ranks")
    seed: int = 0
    precision: Literal["auto", "bf16", "float32"] = Field(
        "auto", description="auto: bf16 where the device has it, else float32"
    )
    channels_last: bool = True
    compile: bool = False
    auxiliary: float = Field(0.1, ge=0, description="weight of the training-class classifier")
    validation_every: int | None = Field(None, ge=1, description="default max(50, episodes/60)")
    validation_episodes: int = Field(500, ge=2)
    validation_way: int | None = Field(
        None, ge=2, description="default: episode.way, or fewer where there are fewer classes"
    )
    untrained_candidate: bool = Field(
        True, description="the untrained network may be the best, where the backbone is pretrained"
    )
    checkpoint_every: int | None = Field(None, ge=1, description="keep one every N episodes too")
    save_every: int | None = Field(
        None, ge=1, description="episodes between saves of last.pt; default: every five minutes"
    )
    gradients_every: int | None = Field(None, ge=1, description="default max(10, episodes/100)")
    skip_nonfinite: int = Field(0, ge=0, description="steps with a non-finite loss tolerated")


class Config(_Options):
    """All settings of a run."""

    recipe: str
    dataset: str
    episode: EpisodeOptions = EpisodeOptions()
    data: DataOptions = DataOptions()
    network: NetworkOptions = NetworkOptions()
    matcher: MatcherOptions = MatcherOptions()
    distill: DistillOptions = DistillOptions()
    optimiser: OptimiserOptions = OptimiserOptions()
    training: TrainingOptions = TrainingOptions()

    def save_text(self) -> str:
        """Return the text of config.json."""
        return self.model_dump_json(indent=2) + "\n"


# A setting, and the terms of which one must be on for it to have an effect.
_NEEDS = {
    "distill.ce_pairs": ("ce",),
    "distill.hidden": ("ce",),
    "distill.bottleneck": ("ce",),
    "distill.out_dim": ("ce",),
    "distill.student_temperature": ("ce",),
    "distill.teacher_temperature": ("ce",),
    "distill.centre_momentum": ("ce",),
    "distill.mask_temperature": ("am",),
    "distill.map_pairs": ("at", "am", "pr"),
    "distill.form": ("at", "am", "pr"),
    "distill.root": ("at", "am", "pr"),
    "distill.states": ("pr",),
    "distill.nodes": ("pr",),
    "distill.projection": ("pr",),
    "distill.relation_statistics": ("pr",),
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
}


def parse_setting(text: str) -> tuple[str, Any]:
    """Split ``a.b=c`` into ("a.b", value); a value that is not JSON is text. Raises `UserError`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {text!r} is not of the form a.b=c, as in --set optimiser.lr=1e-4")
    try:
        return key.strip(), json.loads(value)
    except json.JSONDecodeError:
        return key.strip(), value.strip()


def replace(config: Config, settings: Sequence[tuple[str, Any]]) -> Config:
    """Return ``config`` with single settings replaced and checked. Raises `UserError`."""
    tree = config.model_dump()
    for key, value in settings:
        *parents, leaf = key.split(".")
        branch, what = tree, "setting"
        for parent in parents:
            branch, what = pick(branch, parent, what=what), f"setting of {parent}"
            if not isinstance(branch, dict):
                raise UserError(f"there is no setting {key!r}: {parent} has no parts")
        # The options and losses of a matcher are open: the matcher itself checks their names.
        if parents[:1] != ["matcher"]:
            pick(branch, leaf, what=what)
        if key == "matcher.name" and value != branch["name"]:
            _drop_recorded(branch)
        branch[leaf] = value
    changed = validate(tree, source="--set")
    for key, _ in settings:
        needed = _NEEDS.get(key, ())
        if needed and not any(term in changed.distill.weights for term in needed):
            terms = " or ".join(f"distill.{term}" for term in needed)
            raise UserError(
                f"{key} has no effect: it needs {terms} above 0; set that too, or leave out {key}"
            )
        other, idle = _IDLE.get(key, ("", None))
        cached = other == "network.weights" and changed.data.features  # weights of the file count
        if other and not cached and operator.attrgetter(other)(changed) == idle:
            raise UserError(f"{key} has no effect while {other} is {idle!r}; leave it out")
    if config.data.features is not None:
        _check_on_features(changed, settings)
    return changed


def _drop_recorded(matcher: dict[str, Any]) -> None:
    """Drop the options that a config records by itself: another matcher does not have them."""
    recorded, options = RECORDED_OPTIONS.get(matcher["name"], {}), matcher["options"]
    if isinstance(options, dict):
        matcher["options"] = {k: v for k, v in options.items() if (k, v) not in recorded.items()}


def _check_on_features(config: Config, settings: Sequence[tuple[str, Any]]) -> None:
    for key, value in settings:
        if key in _FRAMES_ONLY:
            raise UserError(f"{key} = {value!r} has no effect with --features; leave it out")
    if config.distill.uses_maps:
        raise UserError(
            "distill.at, distill.am and distill.pr need the network's feature maps, which a file "
            "of --features lacks; leave them out, or train on frames"
        )


def validate(tree: Any, *, source: str) -> Config:
    """Return a `Config` from plain data. Raises `UserError`, which names the first mistake."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"][0].lower() + first["msg"][1:]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{source}: {place} = {first['input']!r} is wrong: {reason}") from None
