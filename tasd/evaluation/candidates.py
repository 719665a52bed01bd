"""Candidates for evaluation: the networks of a run, a plain backbone, or a feature file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from tasd import matchers
from tasd.backbones.weights import saw_tests
from tasd.device import Precision, native_precision
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.episodes import tested_classes
from tasd.evaluation.overlap import refuse_overlap
from tasd.evaluation.score import Result, score, score_in_parts
from tasd.evaluation.summary import Summary, summary_of
from tasd.extraction.backbone import Pooling, cached_pooled, plain_model
from tasd.extraction.run import Extraction, cached_features
from tasd.features.reader import open_features
from tasd.features.store import FeatureStore
from tasd.matchers.base import Matcher
from tasd.runs import checkpoint
from tasd.runs.checkpoint import Checkpoint, trained_classes
from tasd.runs.folder import Run
from tasd.store import Store


@dataclass(frozen=True)
class Candidate:
    """The features of one or more networks to evaluate, and the matcher of each.

    name: for tables. chosen: the network that stands for it. split: of the classes
    under test. origin: run, checkpoint and settings, for the provenance of results.
    variant: the differences from the run as it was trained, as in "otam" or "episode-000100";
    empty where there is none. Results of a variant do not stand for the run.
    floor: the better start of the run on validation, see `tasd.evaluation.floor`. other_start: the
    other one, None where the run's log does not hold both.
    no_floor: the reason where a floor was looked for and there is none.
    store: the folder or file of the videos under test, where they are of a store.
    """

    name: str
    features: Mapping[str, FeatureStore]
    matchers: Mapping[str, Matcher]
    chosen: str
    split: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""
    floor: "Candidate | None" = None
    other_start: "Candidate | None" = None
    no_floor: str = ""
    store: Path | None = None

    @property
    def videos(self) -> FeatureStore:
        """The features of the chosen network; those of the others are of the same videos."""
        return self.features[self.chosen]

    def score(
        self, episodes: EpisodeTable, *, batch: int | None = None, device: str = "cpu"
    ) -> dict[str, Result]:
        """Score ``episodes`` with each network."""
        return {
            name: score(features, episodes, self.matchers[name], batch=batch, device=device)
            for name, features in self.features.items()
        }

    def summaries(
        self, episodes: EpisodeTable, *, batch: int | None = None, device: str = "cpu"
    ) -> dict[str, Summary]:
        """Score ``episodes`` with each network, and keep the summaries alone."""
        found = {}
        for name, features in self.features.items():
            parts = score_in_parts(
                features, episodes, self.matchers[name], batch=batch, device=device
            )
            found[name] = summary_of(parts, episodes)
        return found


def of_features(path: Path, *, matcher: str, split: str = "test") -> Candidate:
    """Return a feature file with a matcher that needs no training. Raises `UserError`."""
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


def of_backbone(
    store: Store,
    how: Pooling,
    *,
    matcher: str = "bimhm",
    options: Mapping[str, Any] | None = None,
    split: str = "test",
) -> Candidate:
    """Return a pretrained backbone, without any training, and a matcher that needs none.

    options: of the matcher, as its class documents them.

    The features are cached below $TASD_HOME. Raises `UserError`.
    """
    if how.weights == "none":
        raise UserError(
            f"--weights none leaves {how.backbone} with random weights, and nothing is trained "
            "here; give published weights, or a file"
        )
    tested_classes(store, split)
    model = plain_model(how, dataset=store.dataset)
    compare = untrained_matcher(
        matcher,
        model.backbone.channels,
        frames=model.backbone.steps(how.frames),
        options=options,
    )
    features = cached_pooled(model, store, how, split=split, maps=compare.needs_maps)
    names = ("backbone", "weights", "weights_sha256", "frames", "crop", "precision")
    origin = {name: features.about[name] for name in names} | {
        "weights": how.weights,  # the file may have been written under another name of theirs
        "matcher": matcher,
        "pretrained_on_tested": saw_tests(model.backbone, how.weights, dataset=store.dataset),
    }
    return Candidate(
        name=how.backbone,
        features={"backbone": features},
        matchers={"backbone": compare},
        chosen="backbone",
        split=split,
        origin=origin,
        store=Path(store.path),
    )


def of_run(
    run: Run, saved: Checkpoint, store: Store | FeatureStore, how: Extraction, *, source: Path
) -> Candidate:
    """Return the networks of ``saved``, a checkpoint of ``run`` that was read from ``source``.

    store: the frames, or the feature file where the run was trained on features.

    The features are cached in the run's folder. Raises `UserError`.
    """
    # Feature extraction may take hours: refuse an overlap before it, not only in `evaluate`.
    tested = tested_classes(store, how.split)
    trained_on = trained_classes(saved, store)
    refuse_overlap(run.path.name, trained_on, tested, allowed=how.allow_overlap)
    names, models = _network_names(saved, how.networks, source), checkpoint.networks(saved)
    compare: dict[str, Matcher] = {}
    features: dict[str, FeatureStore] = {}
    for name in names:
        model = models[name]
        model.precision = precision_of(saved, how)
        channels, frames = model.backbone.channels, model.backbone.steps(saved.config.data.frames)
        compare[name] = (
            model.matcher
            if how.matcher in (None, saved.config.matcher.name)  # with the run's own options
            else untrained_matcher(how.matcher, channels, frames=frames)
        )
        model.matcher = compare[name]  # its `condense` makes the features
        about = {"network": name, "checkpoint": saved.sha256, "precision": model.precision}
        maps = how.maps or compare[name].needs_maps
        features[name] = cached_features(run, model, store, saved, how, about, maps=maps)
    best = saved.best_network
    return Candidate(
        name=run.path.resolve().name,
        features=features,
        matchers=compare,
        chosen=best if best in names else names[0],
        split=how.split,
        origin=_origin(run, source, saved, how),
        store=Path(store.path),
        variant=_variant(run, source, saved, how),
    )


def untrained_matcher(
    name: str, channels: int, *, frames: int, options: Mapping[str, Any] | None = None
) -> Matcher:
    """Build a matcher without weights. Raises `UserError` where it would need training."""
    matcher = matchers.build(name, channels, frames=frames, **(options or {}))
    if any(True for _ in matcher.parameters()):
        raise UserError(
            f"--matcher {name} has weights that must be trained; evaluate a run that was trained "
            "with it, or choose bimhm, otam, chamfer or prototype"
        )
    return matcher


def _network_names(saved: Checkpoint, wanted: Sequence[str], source: Path) -> Sequence[str]:
    for name in wanted:
        if name not in saved.network_names:
            raise UserError(
                f"{source} has no {name}, only {', '.join(saved.network_names)}; leave out "
                f"--network {name}"
            )
    return wanted or saved.network_names


def precision_of(saved: Checkpoint, how: Extraction) -> Precision:
    """Return the precision that a run's networks compute in."""
    own = saved.config.training.precision
    return how.precision or native_precision(own, torch.device(how.device))


def _variant(run: Run, source: Path, saved: Checkpoint, how: Extraction) -> str:
    checkpoint_name = source.stem if source.resolve() != run.best.resolve() else ""
    matcher = how.matcher if how.matcher != saved.config.matcher.name else None
    return "-".join(part for part in (checkpoint_name, matcher, *how.networks) if part)


def _origin(run: Run, source: Path, saved: Checkpoint, how: Extraction) -> dict[str, Any]:
    config = saved.config
    fewer = [line["way"] for line in run.read_metrics() if "way" in line]
    return {
        "run": str(run.path),
        **({"validation_way": fewer[0]} if fewer else {}),
        "checkpoint": {
            "file": source.name,
            "sha256": saved.sha256,
            "episode": saved.progress.episode,
        },
        "matcher": how.matcher or config.matcher.name,
        "precision": precision_of(saved, how),
        "config": config.model_dump(),
        "trained_on_store": saved.store_hash,
    }
