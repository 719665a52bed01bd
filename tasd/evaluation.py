"""What `tasd evaluate` does between the command line and the table that it prints."""

import hashlib
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasd import __version__
from tasd.checkpoint import Checkpoint
from tasd.episode_files import load_episodes
from tasd.episode_table import EpisodeTable, drawn
from tasd.episodes import EpisodeSampler
from tasd.errors import UserError
from tasd.feature_store import FeatureStore
from tasd.features import open_features
from tasd.home import home
from tasd.metrics import Paired, paired_difference
from tasd.overlap import refuse_overlap
from tasd.results import Summary, document, paired_document, summary
from tasd.run import commit
from tasd.store import MANIFEST, Store, read_manifest
from tasd.store.manifest import manifest_hash
from tasd.subject import Subject, groups, tested_classes


@dataclass(frozen=True)
class Shape:
    """Which episodes are wanted; those in ``file``, where one is named, whatever their shape."""

    way: int
    shot: int
    queries: int
    count: int
    distinct_groups: bool = False
    file: Path | None = None


@dataclass(frozen=True)
class Evaluated:
    """A subject on a set of episodes: each network's summary, and the result file's content.

    name: of the file, by split, shape, number and seed of the episodes.
    """

    name: str
    subject: Subject
    episodes: EpisodeTable
    summaries: dict[str, Summary]
    content: dict[str, Any]

    @property
    def accuracy(self) -> np.ndarray:
        """The accuracy of each episode, of the network that stands for the subject."""
        right = np.array(self.summaries[self.subject.chosen].correct, np.float64)
        return right / (self.episodes.way * self.episodes.queries)


def evaluate(
    subject: Subject,
    shape: Shape,
    *,
    seed: int = 0,
    allow_overlap: bool = False,
    batch: int | None = None,
    device: str = "cpu",
) -> Evaluated:
    """Score ``subject`` on the episodes of ``shape``. Raises `UserError`."""
    episodes = wanted_episodes(subject, shape, seed=seed)
    tested = [episodes.classes[c] for c in np.unique(episodes.chosen)]
    _refuse_other_splits(subject, tested, episodes.source)
    trained_on = subject.videos.trained_on
    seen = refuse_overlap(subject.name, trained_on, tested, allowed=allow_overlap)
    results = subject.score(episodes, batch=batch, device=device)
    summaries = {name: summary(result) for name, result in results.items()}
    origin = provenance(subject, episodes) | {"device": device, "trained_and_tested": list(seen)}
    content = document(summaries, episodes, chosen=subject.chosen, provenance=origin)
    return Evaluated(_name(subject, shape, episodes), subject, episodes, summaries, content)


def _refuse_other_splits(subject: Subject, tested: Sequence[str], source: str) -> None:
    under_test = subject.videos.splits[subject.split]
    others = [name for name in tested if name not in under_test]
    if others:
        raise UserError(
            f"{source} asks for {len(others)} classes ({others[0]!r} first) that are not of the "
            f"split {subject.split!r} of {subject.videos.path}; draw other episodes, or name "
            "their --split"
        )


def _name(subject: Subject, shape: Shape, episodes: EpisodeTable) -> str:
    own = f"-{subject.variant}" if subject.variant else ""
    if shape.file is not None:
        return f"{subject.split}-{shape.file.stem}{own}"
    kind = f"{shape.way}w{shape.shot}s-{shape.queries}q" + ("-groups" * shape.distinct_groups)
    return f"{subject.split}-{kind}-{len(episodes)}e-seed{episodes.seed}{own}"


def wanted_episodes(subject: Subject, shape: Shape, *, seed: int) -> EpisodeTable:
    """The episodes of a file, or drawn from the classes under test. Raises `UserError`."""
    if shape.file is not None:
        return load_episodes(shape.file)
    return drawn(sampler(shape, subject.videos, subject.split, seed=seed))


def sampler(
    shape: Shape, videos: Store | FeatureStore, split: str, *, seed: int = 0
) -> EpisodeSampler:
    """What draws the episodes. Raises `UserError` where the classes of ``split`` fill none."""
    tested_classes(videos, split)
    classes = videos.classes(split)
    sources = groups(videos, classes) if shape.distinct_groups else None
    if shape.distinct_groups and sources is None:
        raise UserError(
            f"--distinct-groups needs to know the source of each video, and {videos.path} has no "
            "/video_group; write it there, or leave the option out"
        )
    return EpisodeSampler(
        videos=classes,
        way=shape.way,
        shot=shape.shot,
        queries=shape.queries,
        length=shape.count,
        seed=seed,
        distinct_groups=sources,
        source=f"the {split} classes of {videos.path}",
    )


def provenance(subject: Subject, episodes: EpisodeTable) -> dict[str, Any]:
    """Everything that the numbers depend on, by name or by hash."""
    features = subject.videos
    return {
        "command": sys.argv,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": {"tasd": __version__, "commit": commit()},
        "packages": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "variant": subject.variant,
        "dataset": features.about.get("dataset"),
        "store_sha256": features.about.get("store"),
        "features": {
            name: {"path": str(store.path), "sha256": store.hash, "made_from": dict(store.about)}
            for name, store in subject.features.items()
        },
        "split": {
            "name": subject.split,
            "classes": len(episodes.classes),
            "videos": len(episodes.videos),
            "sha256": split_hash(episodes),
        },
        **subject.origin,
    }


def split_hash(episodes: EpisodeTable) -> str:
    """sha256 of the names of all classes and videos that episodes are drawn from."""
    classes = np.array(episodes.classes)[episodes.video_class]
    lines = sorted(f"{name}\t{video}" for name, video in zip(classes, episodes.videos, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def compare(first: Evaluated, second: Evaluated) -> Paired:
    """Second minus first on the same episodes. Raises `UserError` where they are not the same."""
    if first.episodes.hash != second.episodes.hash:
        raise UserError(
            f"{first.subject.name} and {second.subject.name} have other videos under test: they "
            "can only be compared on one store"
        )
    return paired_difference(first.accuracy, second.accuracy)


def comparison(first: Evaluated, second: Evaluated) -> dict[str, Any]:
    """The content of the result file of a comparison."""
    return {
        "format": "tasd-comparison",
        "version": 1,
        "first": first.content,
        "second": second.content,
        "second_minus_first": paired_document(compare(first, second)),
    }


def find_store(given: Path | None, saved: Checkpoint) -> Store | FeatureStore:
    """The store named, or the one under $TASD_HOME that the checkpoint was trained on.

    For one that was trained on cached features it is their file. Raises `UserError` where there
    is none, or where only the data set fits and not uniquely.
    """
    cached = saved.config.data.features
    if cached is not None:
        return open_features(given or Path(cached))
    if given is not None:
        return Store(given)
    found = {path.parent: _manifest(path.parent) for path in _manifests()}
    same = [path for path, (hash, _) in found.items() if hash == saved.store_hash]
    alike = [path for path, (_, dataset) in found.items() if dataset == saved.dataset]
    for candidates in (same, alike):
        if len(candidates) == 1:
            return Store(candidates[0])
    there = f"several of {saved.dataset}" if alike else f"none of {saved.dataset}"
    raise UserError(
        f"the checkpoint was trained on a store of {saved.dataset} ({saved.store_hash[:12]}), and "
        f"{home() / 'stores'} holds {there}; name it with --store"
    )


def _manifests() -> Sequence[Path]:
    return sorted((home() / "stores").glob(f"*/{MANIFEST}"))


def _manifest(folder: Path) -> tuple[str, str]:
    try:
        manifest = read_manifest(folder)
    except UserError:  # another version's, or damaged: not the one that is looked for
        return "", ""
    return manifest_hash(manifest), manifest.dataset


def seeds_of(text: str) -> tuple[int, ...]:
    """``"0"``, ``"0,3,7"`` or ``"0-4"`` as numbers. Raises `UserError`."""
    try:
        ends = [part.split("-") for part in text.split(",")]
        seeds = tuple(s for end in ends for s in range(int(end[0]), int(end[-1]) + 1))
    except ValueError:
        seeds = ()
    if not seeds:
        raise UserError(f"--seeds {text!r} are no seeds; write 0, 0,3,7 or 0-4")
    return seeds
