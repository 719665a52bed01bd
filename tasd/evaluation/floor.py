"""The floor of a run: the better, on validation, of its two starts, without any training.

The starts are the untrained network and the pretrained backbone in it, without encoder.
"""

import hashlib
from dataclasses import replace

import torch

from tasd import backbones
from tasd.backbones.weights import at_hand
from tasd.config import Config
from tasd.episodes import evaluation_view
from tasd.errors import UserError
from tasd.evaluation.candidates import Candidate, of_backbone, precision_of, untrained_matcher
from tasd.extraction.backbone import Pooling
from tasd.extraction.run import Extraction, cached_features
from tasd.features.store import FeatureStore
from tasd.model import Model, build_model
from tasd.runs.checkpoint import Checkpoint
from tasd.runs.folder import Run
from tasd.runs.plain import matcher_of_floor
from tasd.store import Store
from tasd.store.source import ALL


def with_floor(
    candidate: Candidate, run: Run, saved: Checkpoint, store: Store | FeatureStore, how: Extraction
) -> Candidate:
    """Return ``candidate``, of ``run``, with its floor or the reason why it has none.

    A run whose log does not hold the validation of both starts is older than this rule: its floor
    is the plain backbone. So is that of a run whose start is fitted to the training classes
    (network.wccn), since such a start is not untrained.
    """
    try:
        plain = floor_of(saved, store, how)
        known = validated_starts(run)
        if known is None or saved.config.network.wccn is not None:
            return replace(candidate, floor=plain)
        starts = {"plain": plain, "untrained": _untrained(run, saved, store, how, plain=plain)}
    except UserError as error:
        return replace(candidate, no_floor=str(error))
    for name, start in starts.items():
        origin = {**start.origin, "validation": known[name]}
        starts[name] = replace(start, origin=origin)
    better = "untrained" if known["untrained"] > known["plain"] else "plain"
    (other,) = starts.keys() - {better}
    return replace(candidate, floor=starts[better], other_start=starts[other])


def validated_starts(run: Run) -> dict[str, float] | None:
    """Read the validation accuracies of both starts; None where the log does not hold them."""
    for line in run.read_metrics():
        if line["kind"] == "validation" and line["episode"] == 0 and "plain" in line:
            return {"untrained": line["student"]["accuracy"], "plain": line["plain"]["accuracy"]}
    return None


def _untrained(
    run: Run, saved: Checkpoint, store: Store | FeatureStore, how: Extraction, *, plain: Candidate
) -> Candidate:
    """Return the network of ``run`` before its first step, made again from the seed."""
    model = untrained_network(saved, device=how.device)
    model.precision = precision_of(saved, how)
    channels, frames = model.backbone.channels, saved.config.data.frames
    name, compare = saved.config.matcher.name, model.matcher
    if how.matcher not in (None, name):
        name, compare = how.matcher, untrained_matcher(how.matcher, channels, frames=frames)
    about = {"network": "untrained", "weights": _digest(model), "precision": model.precision}
    features = cached_features(run, model, store, saved, how, about, maps=compare.needs_maps)
    return Candidate(
        name="untrained network",
        features={"untrained": features},
        matchers={"untrained": compare},
        chosen="untrained",
        split=how.split,
        origin={**plain.origin, "matcher": name, "start": "untrained"},
    )


def untrained_network(saved: Checkpoint, *, device: str = "cpu") -> Model:
    """Build the student that a run began with, as training does. Raises `UserError`."""
    gpus = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(saved.config.training.seed)
        model = build_model(saved.config, classes=len(saved.classes))
    return model.eval().requires_grad_(False)


def _digest(model: Model) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


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
    matcher, options = matcher_of_floor(config, channels=backbone.channels, other=how.matcher)
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
    part = store.only(*(store.splits if how.split == ALL else (how.split,)))
    views = [evaluation_view(video, config.data.frames) for video in part.videos]
    features = replace(part, features=part.features_at(views))
    _, frames, channels = features.features.shape
    matcher, options = matcher_of_floor(config, channels=channels, other=how.matcher)
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
