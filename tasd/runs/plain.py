"""The plain backbone of a run: what it began from, without encoder and without training."""

from collections.abc import Mapping
from typing import Any

from tasd import matchers
from tasd.backbones.temporal import TemporalEncoder
from tasd.config import Config, validate
from tasd.model import Model
from tasd.runs.shapes import without_heads

PLAIN = "plain"  # its name beside student and teacher


def plain_network(student: Model, config: Config) -> Model:
    """Return the backbone of ``student``, shared with it, without encoder.

    Its matcher is the run's where that has no weights, else BiMHM.
    """
    channels, frames = student.backbone.channels, config.data.frames
    name, options = matcher_of_floor(config, channels=channels)
    plain = Model(
        student.backbone,
        TemporalEncoder(channels, depth=0, heads=1, feedforward=1, dropout=0.0),
        matchers.build(name, channels, frames=frames, **options),
        precision=student.precision,
        channels_last=False,
    )
    plain.mean, plain.std = student.mean, student.std
    return plain.to(student.mean.device)


def plain_config(config: Config, *, channels: int) -> Config:
    """Return the config of the network that `plain_network` makes of a run's."""
    name, options = matcher_of_floor(config, channels=channels)
    tree = without_heads(config).model_dump()
    tree["network"] |= {"depth": 0, "wccn": None}
    tree["matcher"] = {"name": name, "options": dict(options), "losses": {}}
    tree["training"] |= {"auxiliary": 0.0}
    return validate(tree, source="the plain backbone")


def matcher_of_floor(
    config: Config, *, channels: int, other: str | None = None
) -> tuple[str, Mapping[str, Any]]:
    """Return name and options of the run's matcher, or BiMHM where that has weights.

    other: the name of a matcher in place of the run's.
    """
    name, options = config.matcher.name, config.matcher.options
    if other is not None:
        name, options = other, {}
    built = matchers.build(name, channels, frames=config.data.frames, **options)
    return ("bimhm", {}) if any(True for _ in built.parameters()) else (name, options)
