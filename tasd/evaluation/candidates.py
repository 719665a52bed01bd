"""Who is evaluated: the networks of a run, or a feature file from anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tasd import matchers
from tasd.device import Precision, native_precision
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.episodes import tested_classes
from tasd.evaluation.overlap import refuse_overlap
from tasd.evaluation.score import Result, score
from tasd.extraction.run import Extraction, cached_features
from tasd.features.reader import open_features
from tasd.features.store import FeatureStore
from tasd.matchers.base import Matcher
from tasd.model import Model
from tasd.runs import checkpoint
from tasd.runs.checkpoint import Checkpoint, trained_classes
from tasd.runs.folder import Run
from tasd.store import Store

NETWORKS = ("student", "teacher")


@dataclass(frozen=True)
class Candidate:
    """What is evaluated: the features of each network, and the matcher that compares them.

    name: for tables. chosen: the network that stands for it. split: the classes under test.
    origin: where it comes from, for the provenance of results. variant: in what it is not the
    run as it was trained, as in "otam" or "episode-000100"; its results do not stand for the run.
    """

    name: str
    features: Mapping[str, FeatureStore]
    matchers: Mapping[str, Matcher]
    chosen: str
    split: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""

    @property
    def videos(self) -> FeatureStore:
        """The features of the chosen network; the others have the same videos."""
        return self.features[self.chosen]

    def score(
        self, episodes: EpisodeTable, *, batch: int | None = None, device: str = "cpu"
    ) -> dict[str, Result]:
        """The result of each network."""
        return {
            name: score(features, episodes, self.matchers[name], batch=batch, device=device)
            for name, features in self.features.items()
        }


def of_features(path: Path, *, matcher: str, split: str = "test") -> Candidate:
    """A feature file, compared by a matcher that needs no training. Raises `UserError`."""
    features = open_features(path)
    tested_classes(features, split)
    _, frames, channels = features.features.shape
    network = str(features.about.get("network", "features"))
    return Candidate(
        name=path.stem,
        features={network: features},
        matchers={network: untrained_matcher(matcher, channels, frames=frames)},
        chosen=network,
        split=split,
        origin={"matcher": matcher},
    )


def of_run(
    run: Run, saved: Checkpoint, store: Store | FeatureStore, how: Extraction, *, source: Path
) -> Candidate:
    """The networks of ``saved``, a checkpoint of ``run`` that was read from ``source``.

    store: of frames, or of the cached features in place of them that it was trained on.

    What the networks say is kept in the run's folder and used again. Raises `UserError`.
    """
    # Before hours of work: whether the result could count.
    tested = tested_classes(store, how.split)
    trained_on = trained_classes(saved, store)
    refuse_overlap(run.path.name, trained_on, tested, allowed=how.allow_overlap)
    models = _wanted(checkpoint.networks(saved), how.networks, source)
    identity = checkpoint.file_hash(source)
    compare: dict[str, Matcher] = {}
    features: dict[str, FeatureStore] = {}
    for name, model in models.items():
        model.precision = _precision(saved, how)
        channels, frames = model.backbone.channels, saved.config.data.frames
        compare[name] = (
            model.matcher
            if how.matcher is None
            else untrained_matcher(how.matcher, channels, frames=frames)
        )
        about = {"network": name, "checkpoint": identity, "precision": model.precision}
        maps = how.maps or compare[name].needs_maps
        features[name] = cached_features(run, model, store, saved, how, about, maps=maps)
    best = saved.progress.best.network
    return Candidate(
        name=run.path.resolve().name,
        features=features,
        matchers=compare,
        chosen=best if best in features else next(iter(features)),
        split=how.split,
        origin=_origin(run, source, identity, saved, how),
        variant=_variant(run, source, saved, how),
    )


def untrained_matcher(name: str, channels: int, *, frames: int) -> Matcher:
    """A matcher without weights of its own. Raises `UserError` where it would need training."""
    matcher = matchers.build(name, channels, frames=frames)
    if any(True for _ in matcher.parameters()):
        raise UserError(
            f"--matcher {name} has weights that must be trained; evaluate a run that was trained "
            "with it, or choose bimhm, otam or prototype"
        )
    return matcher


def _wanted(found: dict[str, Model], networks: Sequence[str], source: Path) -> dict[str, Model]:
    for name in networks:
        if name not in found:
            raise UserError(
                f"{source} has no {name}, only {', '.join(found)}; leave out --network {name}"
            )
    return {name: found[name] for name in networks} if networks else found


def _precision(saved: Checkpoint, how: Extraction) -> Precision:
    own = saved.config.training.precision
    return how.precision or native_precision(own, torch.device(how.device))


def _variant(run: Run, source: Path, saved: Checkpoint, how: Extraction) -> str:
    checkpoint_name = source.stem if source.resolve() != run.best.resolve() else ""
    matcher = how.matcher if how.matcher != saved.config.matcher.name else None
    return "-".join(part for part in (checkpoint_name, matcher, *how.networks) if part)


def _origin(
    run: Run, source: Path, identity: str, saved: Checkpoint, how: Extraction
) -> dict[str, Any]:
    config = saved.config
    return {
        "run": str(run.path),
        "checkpoint": {
            "file": source.name,
            "sha256": identity,
            "episode": saved.progress.episode,
        },
        "matcher": how.matcher or config.matcher.name,
        "precision": _precision(saved, how),
        "config": config.model_dump(),
        "trained_on_store": saved.store_hash,
    }
