"""Result files, evaluation/<name>.json: summaries of scored episodes and their provenance."""

import hashlib
import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasd import __version__
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.candidates import Candidate
from tasd.evaluation.metrics import Interval, Paired
from tasd.evaluation.summary import Summary
from tasd.features.store import FeatureStore
from tasd.files import read_json, with_digest, without_digest, write_json
from tasd.runs.environment import commit

FORMAT = "tasd-evaluation"
VERSION = 2
WITHOUT_DIGEST = 1  # an earlier version, which is read too


def document(
    summaries: Mapping[str, Summary],
    episodes: EpisodeTable,
    *,
    chosen: str,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of a result file; ``chosen`` is the network that stands for the run."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "chosen": chosen,
        "networks": {name: _network(one, episodes) for name, one in summaries.items()},
        "episodes": {
            "count": len(episodes),
            "way": episodes.way,
            "shot": episodes.shot,
            "queries": episodes.queries,
            "seed": episodes.seed,
            "sha256": episodes.hash,
        },
        "provenance": dict(provenance),
    }


def _network(summary: Summary, episodes: EpisodeTable) -> dict[str, Any]:
    return {
        "accuracy": summary.accuracy,
        "interval95": {
            "sampling of episodes only": _ends(summary.over_episodes),
            "other classes": _ends(summary.over_classes),
            "other videos of these classes": _ends(summary.over_videos),
        },
        "per_class": summary.per_class,
        "confusion": {
            "classes": list(episodes.classes),
            "counts": summary.confusion.counts.tolist(),
            "offered": summary.confusion.offered.tolist(),
        },
        "correct": summary.correct.tolist(),
    }


def _ends(interval: Interval) -> list[float] | None:
    return None if math.isnan(interval.low) else [interval.low, interval.high]


def paired_document(paired: Paired) -> dict[str, Any]:
    """Return a comparison as plain data."""
    return asdict(paired) | {"difference": asdict(paired.difference)}


def floor_document(
    candidate: Candidate, summary: Summary, episodes: EpisodeTable, gain: Paired
) -> dict[str, Any]:
    """Return a run's floor as plain data: as of a network, with its origin and the paired gain."""
    return {
        **_network(summary, episodes),
        **candidate.origin,
        "features": _features(candidate.videos),
        "run_minus_floor": paired_document(gain),
    }


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Write a result file with its digest, whole or not at all. Raises `UserError`."""
    write_json(path, with_digest(content))


def read_document(path: Path) -> dict[str, Any]:
    """Read a result file and hold it against its digest. Raises `UserError`."""
    content = read_json(
        path,
        format=FORMAT,
        version=VERSION,
        what="a result of tasd evaluate",
        way_out="run tasd evaluate again",
        older=(WITHOUT_DIGEST,),
    )
    try:
        content, sealed = without_digest(content)
        if not sealed and content["version"] != WITHOUT_DIGEST:
            raise KeyError("sha256")
        _check(content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error!r}); run tasd evaluate again") from None
    return content


def _check(content: Mapping[str, Any]) -> None:
    """Raise an error of Python where a part that reports read is missing or of another type."""
    networks, episodes = content["networks"], content["episodes"]
    for network in (networks[content["chosen"]], *networks.values()):
        float(network["accuracy"])
        [float(value) for value in network["per_class"].values()]
        for ends in network["interval95"].values():
            _, _ = map(float, ends or (0, 0))
        if len(list(map(int, network["correct"]))) != episodes["count"]:
            raise ValueError("correct")
    for name in ("count", "way", "shot", "queries"):
        if int(episodes[name]) < 1:
            raise ValueError(name)
    content["provenance"].get("variant")


def provenance(candidate: Candidate, episodes: EpisodeTable) -> dict[str, Any]:
    """Return everything that the numbers depend on, by name or by hash."""
    features = candidate.videos
    return {
        "command": sys.argv,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": {"tasd": __version__, "commit": commit()},
        "packages": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "variant": candidate.variant,
        "transductive": candidate.matchers[candidate.chosen].transductive,
        "dataset": features.about.get("dataset"),
        "store_sha256": features.about.get("store"),
        "store": None if candidate.store is None else _named(candidate.store),
        "features": {name: _features(store) for name, store in candidate.features.items()},
        "split": {
            "name": candidate.split,
            "classes": len(episodes.classes),
            "videos": len(episodes.videos),
            "sha256": split_hash(episodes),
        },
        **candidate.origin,
    }


def _named(store: Path) -> dict[str, str]:
    return {"name": store.resolve().name, "path": str(store)}


def _features(store: FeatureStore) -> dict[str, Any]:
    return {"path": str(store.path), "sha256": store.hash, "made_from": dict(store.about)}


def split_hash(episodes: EpisodeTable) -> str:
    """Return a sha256 of the names of all classes and videos that episodes are drawn from."""
    classes = np.array(episodes.classes)[episodes.video_class]
    lines = sorted(f"{name}\t{video}" for name, video in zip(classes, episodes.videos, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
