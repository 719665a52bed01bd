"""Thresholds for answering "none of these", found on the validation classes.

In each of 500 episodes the queries of its classes should be accepted, and a query of another class
should be rejected. The threshold is the score of the best class that 95 of 100 of the former
reach. The share of the latter that reach it too are the false accepts.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.score import score
from tasd.extraction.run import Extraction, cached_features
from tasd.features.store import FeatureStore
from tasd.predict.trained import Threshold, TrainedNetwork, with_threshold, write_settings
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.runs.stores import find_store

TRUE_ACCEPT = 0.95
EPISODES = 500
SEED = 2_000_003


def threshold_for(
    trained: TrainedNetwork, *, way: int, shot: int, store: Path | None = None
) -> tuple[TrainedNetwork, Threshold]:
    """Return the threshold for a support of this way and shot, and the network that includes it.

    A threshold that the run does not have yet is found on the validation classes of its store and
    written into the run. Where these classes cannot fill such episodes, way or shot is smaller.
    An export has no store: of its thresholds the nearest in way and shot is taken.

    Raises `UserError`, also where a query's scores depend on the other queries of its episode: a
    clip alone has other scores than those that the threshold would be found on.
    """
    if trained.model.matcher.transductive:
        raise UserError(
            f"{trained.path} was trained transductive, and a threshold on episodes means nothing "
            "for a clip that is scored alone; leave out --reject, or export with --no-reject"
        )
    if not Run(trained.path).best.is_file():
        return trained, _nearest(trained, way, shot)
    for known in trained.thresholds:
        if (known.way, known.shot) == (min(way, known.classes - 1), min(shot, known.fewest - 1)):
            return trained, known
    features = _validation(trained, store)
    counts = [len(videos) for videos in features.classes("val").values()]
    if len(counts) < 3 or min(counts) < 2:
        raise UserError(
            "a threshold needs three validation classes or more of two videos or more each, and "
            f"{trained.path} was trained with {len(counts)} classes; leave out --reject, or export "
            "with --no-reject"
        )
    way, shot = min(way, len(counts) - 1), min(shot, min(counts) - 1)
    found = calibrate(trained, features, way=way, shot=shot)
    trained = replace(trained, thresholds=with_threshold(trained.thresholds, found))
    write_settings(trained)
    return trained, found


def calibrate(
    trained: TrainedNetwork,
    features: FeatureStore,
    *,
    way: int,
    shot: int,
    episodes: int = EPISODES,
) -> Threshold:
    """Find the threshold on episodes of the validation classes. Raises `UserError`."""
    table = _episodes(features, way=way, shot=shot, count=episodes)
    model = trained.model
    best = score(features, table, model.matcher, device=model.mean.device).logits.max(axis=2)
    inside, outside = best[:, :way].ravel(), best[:, way:].ravel()
    least = least_accepted(inside.astype(np.float64))
    return Threshold(
        way=way,
        shot=shot,
        score=least,
        true_accept=float((inside >= least).mean()),
        false_accept=float((outside >= least).mean()),
        episodes=episodes,
        classes=len(table.classes),
        fewest=int(np.bincount(table.video_class).min()),
    )


def least_accepted(scores: Float[np.ndarray, " queries"]) -> float:
    """Return the highest score that a share `TRUE_ACCEPT` of the scores reach."""
    ordered = np.sort(scores)
    return float(ordered[int((1 - TRUE_ACCEPT) * len(ordered) + 1e-9)])


def _episodes(features: FeatureStore, *, way: int, shot: int, count: int) -> EpisodeTable:
    """Draw episodes with a query of each of their classes, and one of another class."""
    sampler = EpisodeSampler(
        videos=features.classes("val"),
        way=way + 1,
        shot=shot,
        queries=1,
        length=count,
        seed=SEED,
        source=f"the validation classes of {features.path}",
    )
    table = EpisodeTable.draw(sampler)
    return replace(table, support=table.support[:, :way])


def _validation(trained: TrainedNetwork, store: Path | None) -> FeatureStore:
    """Read or compute the same feature file that tasd evaluate --split val uses."""
    run, model = Run(trained.path), trained.model
    saved = checkpoint.load(run.best)
    how = Extraction(split="val", device=str(model.mean.device))
    about = {
        "network": trained.network,
        "checkpoint": trained.identity,
        "precision": str(model.precision),
    }
    with find_store(store, saved) as opened:
        return cached_features(run, model, opened, saved, how, about, maps=model.matcher.needs_maps)


def _nearest(trained: TrainedNetwork, way: int, shot: int) -> Threshold:
    if not trained.thresholds:
        raise UserError(
            f"{trained.path} was exported without a threshold for --reject; export the run again "
            "without --no-reject, which needs its store, or leave out --reject"
        )
    return min(trained.thresholds, key=lambda t: (abs(t.shot - shot), abs(t.way - way)))
