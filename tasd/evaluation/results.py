"""evaluation/<name>.json: what a scored set of episodes says, and where it comes from."""

import hashlib
import json
import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasd import __version__
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation import metrics
from tasd.evaluation.candidates import Candidate
from tasd.evaluation.metrics import Interval, Paired
from tasd.evaluation.score import Result
from tasd.files import write_text
from tasd.runs.environment import commit

FORMAT = "tasd-evaluation"
VERSION = 1


@dataclass(frozen=True)
class Summary:
    """What is said of one network on one set of episodes.

    over_episodes: 95 % interval of the sampling of episodes alone. over_classes, over_videos:
    had other classes, or other videos of these classes, been drawn (nan where an episode takes
    all there are). per_class: by name. correct: right answers in each episode.
    """

    over_episodes: Interval
    over_classes: Interval
    over_videos: Interval
    per_class: dict[str, float]
    confusion: metrics.Confusion
    correct: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        """The mean over episodes."""
        return self.over_episodes.mean


def summary(result: Result) -> Summary:
    """Everything that is reported of ``result``."""
    episodes, count = result.episodes, len(result.episodes.classes)
    per_class = metrics.per_class_accuracy(result.truth, result.correct, classes=count)
    return Summary(
        over_episodes=metrics.episode_interval(result.accuracy),
        over_classes=metrics.bootstrap_interval(
            result.accuracy,
            episodes.chosen,
            np.zeros(count, np.int64),
            together=episodes.way,
        ),
        over_videos=metrics.bootstrap_interval(
            result.accuracy,
            episodes.members,
            episodes.video_class,
            together=episodes.shot + episodes.queries,
        ),
        per_class={
            name: float(value)
            for name, value in zip(episodes.classes, per_class, strict=True)
            if not math.isnan(value)
        },
        confusion=metrics.confusion(result.truth, result.predicted, episodes.chosen, classes=count),
        correct=tuple(result.correct.sum(axis=1).tolist()),
    )


def document(
    summaries: Mapping[str, Summary],
    episodes: EpisodeTable,
    *,
    chosen: str,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of a result file. ``chosen`` is the network that stands for the run."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "chosen": chosen,
        "networks": {name: _network(said, episodes) for name, said in summaries.items()},
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


def _network(said: Summary, episodes: EpisodeTable) -> dict[str, Any]:
    return {
        "accuracy": said.accuracy,
        "interval95": {
            "sampling of episodes only": _ends(said.over_episodes),
            "other classes": _ends(said.over_classes),
            "other videos of these classes": _ends(said.over_videos),
        },
        "per_class": said.per_class,
        "confusion": {
            "classes": list(episodes.classes),
            "counts": said.confusion.counts.tolist(),
            "offered": said.confusion.offered.tolist(),
        },
        "correct": list(said.correct),
    }


def _ends(interval: Interval) -> list[float] | None:
    return None if math.isnan(interval.low) else [interval.low, interval.high]


def paired_document(paired: Paired) -> dict[str, Any]:
    """A comparison as plain data."""
    return asdict(paired) | {"difference": asdict(paired.difference)}


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def read_document(path: Path) -> dict[str, Any]:
    """Read a result file. Raises `UserError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); run tasd evaluate again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is no result of tasd evaluate; take one that it wrote")
    if content.get("version") != VERSION:
        raise UserError(
            f"{path} has version {content.get('version')!r} of the result format, this tasd reads "
            f"{VERSION}; run tasd evaluate again"
        )
    return content


def provenance(candidate: Candidate, episodes: EpisodeTable) -> dict[str, Any]:
    """Everything that the numbers depend on, by name or by hash."""
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
        "dataset": features.about.get("dataset"),
        "store_sha256": features.about.get("store"),
        "features": {
            name: {"path": str(store.path), "sha256": store.hash, "made_from": dict(store.about)}
            for name, store in candidate.features.items()
        },
        "split": {
            "name": candidate.split,
            "classes": len(episodes.classes),
            "videos": len(episodes.videos),
            "sha256": split_hash(episodes),
        },
        **candidate.origin,
    }


def split_hash(episodes: EpisodeTable) -> str:
    """sha256 of the names of all classes and videos that episodes are drawn from."""
    classes = np.array(episodes.classes)[episodes.video_class]
    lines = sorted(f"{name}\t{video}" for name, video in zip(classes, episodes.videos, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
