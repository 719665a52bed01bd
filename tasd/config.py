"""The settings of a run: a frozen tree with one branch for each part that it configures.

A recipe (`tasd.recipes`) makes a `Config`; command line options and ``--set a.b=c`` replace
single settings (`tasd.recipes.settings`). Unknown keys, wrong types and settings without effect
are errors.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasd.errors import Mistakes, UserError
from tasd.registry import typed_as

PairMode = Literal["CS", "SS", "QS"]
Fraction = Annotated[float, Field(gt=0, lt=1)]


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
    wccn: float | None = Field(
        None, gt=0, description="shrinkage of within-class covariance normalisation; None: without"
    )
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
    teacher_temperature_start: float | None = Field(
        None, gt=0, description="moves to teacher_temperature in the first 30 % of the run"
    )
    centre_momentum: float = Field(0.9, ge=0, lt=1)
    start: float = Field(0.0, ge=0, lt=1, description="part of the run before the terms count")
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
    momentum: float = Field(0.0, ge=0, lt=1, description="of sgd")
    clip: float | None = Field(1.0, gt=0, description="largest norm of the gradient")
    schedule: Literal["cosine", "constant", "step"] = "cosine"
    step_at: tuple[Fraction, ...] = Field(
        (0.5, 0.75), min_length=1, description="parts of the run after which the rate falls"
    )
    step_factor: float = Field(0.1, gt=0, le=1, description="factor on the rate at each of them")
    warmup: int | None = Field(
        None, ge=0, description="episodes; default min(500, episodes/10), none for step"
    )


class TrainingOptions(_Options):
    """Length, precision, validation, checkpoints and gradient norms."""

    episodes: int = Field(30_000, ge=1)
    episodes_per_step: int | None = Field(None, ge=1, description="default: the number of ranks")
    seed: int = Field(0, ge=0, lt=2**63)
    precision: Literal["auto", "bf16", "float32"] = Field(
        "auto", description="auto: bf16 where the device has it, else float32"
    )
    channels_last: bool = True
    compile: bool = False
    graph: Literal["auto", "off"] = Field(
        "auto", description="auto: on a GPU a step's passes are recorded once and replayed"
    )
    metric: float = Field(1.0, ge=0, description="weight of L_M, the cross-entropy over the ways")
    auxiliary: float = Field(0.1, ge=0, description="weight of the training-class classifier")
    validation_every: int | None = Field(None, ge=1, description="default max(50, episodes/60)")
    validation_episodes: int = Field(500, ge=2)
    validation_way: int | None = Field(
        None, ge=2, description="default: episode.way, or fewer where there are fewer classes"
    )
    untrained_candidate: bool = Field(
        True, description="the untrained network may be the best, where the backbone is pretrained"
    )
    plain_candidate: bool = Field(
        True, description="so may the plain backbone, without encoder; ties keep the network"
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


def validate(tree: Any, *, source: str, settings: Sequence[tuple[str, Any]] = ()) -> Config:
    """Return a `Config` from plain data. Raises `UserError`, which names all mistakes.

    source: where the data came from. settings: those among them that a person typed, which are
    named as they were typed.
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        typed = {str(key): key for key, _ in settings}
        with Mistakes() as mistakes:
            for found in error.errors():
                place = ".".join(str(part) for part in found["loc"])
                rule = found["msg"][0].lower() + found["msg"][1:]
                given = _shown(found["input"])
                told = f"{source}: {place} = {given} is wrong: {rule}"
                if place in typed:
                    told = f"{typed_as(typed[place], found['input'])} is wrong: {rule}"
                mistakes.add(UserError(told))
        raise AssertionError("an error of validation has errors") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
