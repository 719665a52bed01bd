"""The floor of a run: the pretrained backbone that it began from, without any training."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasd import backbones, matchers
from tasd.backbones.weights import at_hand
from tasd.config import Config
from tasd.episodes import evaluation_view
from tasd.errors import UserError
from tasd.evaluation.candidates import Candidate, of_backbone, precision_of, untrained_matcher
from tasd.extraction.backbone import Pooling
from tasd.extraction.run import Extraction
from tasd.features.store import FeatureStore
from tasd.runs.checkpoint import Checkpoint
from tasd.store import Store


def with_floor(
    candidate: Candidate, saved: Checkpoint, store: Store | FeatureStore, how: Extraction
) -> Candidate:
    """Return ``candidate``, the run of ``saved``, with its floor or the reason why it has none."""
    try:
        return replace(candidate, floor=floor_of(saved, store, how))
    except UserError as error:
        return replace(candidate, no_floor=str(error))


def floor_of(saved: Checkpoint, store: Store | FeatureStore, how: Extraction) -> Candidate:
    """Return the plain backbone that a run began from, on the same frames of the same videos.

    The matcher is the run's where that has no weights, else BiMHM. For a run on cached features
    it compares the features themselves.

    Raises `UserError`, whose text is the reason, where the run began from random weights or the
    pretrained ones are not at hand. Nothing is downloaded.
    """
    config, network = saved.config, saved.config.network
    if isinstance(store, FeatureStore):
        return _of_file(config, store, how)
    if network.weights == "none":
        raise UserError("the run began from random weights")
    backbone = backbones.described(network.backbone)
    if not at_hand(backbone, network.weights):
        raise UserError(
            f"the weights {network.weights} of {network.backbone}, which the run began from, are "
            "not on this machine"
        )
    matcher, options = _matcher(config, how, channels=backbone.channels)
    plain = Pooling(
        network.backbone,
        weights=network.weights,
        frames=config.data.frames,
        crop=config.data.crop,
        precision=precision_of(saved, how),
        half=how.half,
        allow_pretrained_overlap=network.allow_pretrained_overlap,
        device=how.device,
    )
    return of_backbone(store, plain, matcher=matcher, options=options, split=how.split)


def _of_file(config: Config, store: FeatureStore, how: Extraction) -> Candidate:
    """Return the features of a frozen backbone as they are, at the positions of a test."""
    about = store.about
    if about.get("weights") == "none":
        raise UserError("the run's features are of a backbone with random weights")
    part = store.only(how.split)
    views = [evaluation_view(video, config.data.frames) for video in part.videos]
    features = replace(part, features=part.features_at(views))
    _, frames, channels = features.features.shape
    matcher, options = _matcher(config, how, channels=channels)
    name = str(about.get("backbone", store.path.stem))
    compare = untrained_matcher(matcher, channels, frames=frames, options=options)
    return Candidate(
        name=name,
        features={"backbone": features},
        matchers={"backbone": compare},
        chosen="backbone",
        split=how.split,
        origin={"backbone": name, "weights": about.get("weights"), "matcher": matcher},
    )


def _matcher(config: Config, how: Extraction, *, channels: int) -> tuple[str, Mapping[str, Any]]:
    """Return name and options of the run's matcher, or BiMHM where that has weights."""
    name, options = config.matcher.name, config.matcher.options
    if how.matcher is not None:
        name, options = how.matcher, {}
    built = matchers.build(name, channels, frames=config.data.frames, **options)
    return ("bimhm", {}) if any(True for _ in built.parameters()) else (name, options)
