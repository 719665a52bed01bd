"""Evaluation of a candidate on episodes, and the paired comparison of two."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.candidates import Candidate
from tasd.evaluation.episodes import EpisodeRequest, wanted_episodes
from tasd.evaluation.metrics import Paired, paired_counts
from tasd.evaluation.overlap import refuse_overlap
from tasd.evaluation.results import (
    document,
    floor_document,
    paired_document,
    provenance,
)
from tasd.evaluation.score import SCORED
from tasd.evaluation.summary import Summary
from tasd.features.store import FeatureStore
from tasd.files import as_json
from tasd.foreign import path_part
from tasd.home import home
from tasd.progress import counted
from tasd.store.source import split_of_each


@dataclass(frozen=True)
class Floor:
    """The result of a run's start on the same episodes; gain: run minus start, paired."""

    candidate: Candidate
    summary: Summary
    gain: Paired


@dataclass(frozen=True)
class Evaluated:
    """A candidate's results on some episodes: a summary of each network, and the result document.

    name: of the result file: split, shape, number and seed of the episodes, and the first digits of
    a digest of all that the test is of, so that no test overwrites the result of another.
    floor, other_start: where the candidate has them.
    """

    name: str
    candidate: Candidate
    episodes: EpisodeTable
    summaries: dict[str, Summary]
    content: dict[str, Any]
    floor: Floor | None = None
    other_start: Floor | None = None

    @property
    def summary(self) -> Summary:
        """That of the network that stands for the candidate."""
        return self.summaries[self.candidate.chosen]

    @property
    def asked(self) -> int:
        """The number of queries of an episode."""
        return self.episodes.way * self.episodes.queries

    @property
    def accuracy(self) -> Float[np.ndarray, " episodes"]:
        """The accuracy on each episode, of the network that stands for the candidate."""
        return np.asarray(self.summary.correct / self.asked)


def evaluate(
    candidate: Candidate,
    request: EpisodeRequest,
    *,
    seed: int = 0,
    allow_overlap: bool = False,
    batch: int | None = None,
    device: str = "cpu",
) -> Evaluated:
    """Score ``candidate`` on the episodes of ``request``. Raises `UserError`."""
    episodes = wanted_episodes(candidate.videos, candidate.split, request, seed=seed)
    chosen = [np.unique(part.chosen) for part in episodes.parts(SCORED)]
    tested = [episodes.classes[c] for c in np.unique(np.concatenate(chosen))]
    _refuse_other_splits(candidate, tested, episodes.source)
    trained_on = candidate.videos.trained_on
    seen = refuse_overlap(candidate.name, trained_on, tested, allowed=allow_overlap)
    summaries = candidate.summaries(episodes, batch=batch, device=device)
    origin = provenance(candidate, episodes) | {"device": device, "trained_and_tested": list(seen)}
    origin["training_classes"] = len(trained_on)
    content = document(summaries, episodes, chosen=candidate.chosen, provenance=origin)
    name = _name(candidate, request, episodes)
    found = Evaluated(name, candidate, episodes, summaries, content)
    return _with_floor(found, batch=batch, device=device)


def _with_floor(result: Evaluated, *, batch: int | None, device: str) -> Evaluated:
    """Score the candidate's floor, and its other start, on the same episodes, if it has one."""
    floor, why = result.candidate.floor, result.candidate.no_floor
    if floor is None:
        return replace(result, content=result.content | {"no_floor": why}) if why else result
    found, said = _start(floor, result, batch=batch, device=device)
    other = None
    if result.candidate.other_start is not None:
        start = result.candidate.other_start
        other, said["other_start"] = _start(start, result, batch=batch, device=device)
    content = result.content | {"floor": said}
    return replace(result, floor=found, other_start=other, content=content)


def _start(
    start: Candidate, result: Evaluated, *, batch: int | None, device: str
) -> tuple[Floor, dict[str, Any]]:
    """Score a start of the run on the episodes of ``result``; return it as plain data too."""
    scored = start.summaries(result.episodes, batch=batch, device=device)[start.chosen]
    gain = paired_counts(scored.correct, result.summary.correct, queries=result.asked)
    found = Floor(start, scored, gain)
    return found, floor_document(start, found.summary, result.episodes, gain)


def _refuse_other_splits(candidate: Candidate, tested: Sequence[str], source: str) -> None:
    under_test = split_of_each(candidate.videos, candidate.split)
    others = [name for name in tested if name not in under_test]
    if others:
        raise UserError(
            f"{source} has {counted(len(others), 'class')} ({others[0]!r} first) not in the "
            f"split {candidate.split!r} of {candidate.videos.path}; draw other episodes, or give "
            "their --split"
        )


def _name(candidate: Candidate, request: EpisodeRequest, episodes: EpisodeTable) -> str:
    own = f"-{candidate.variant}" if candidate.variant else ""
    own += f"-{_digest(candidate, episodes)[:8]}"
    if request.file is not None:
        return f"{candidate.split}-{request.file.stem}{own}"
    kind = f"{request.way}w{request.shot}s-{request.queries}q" + (
        "-groups" * request.distinct_groups
    )
    return f"{candidate.split}-{kind}-{len(episodes)}e-seed{episodes.seed}{own}"


def _digest(candidate: Candidate, episodes: EpisodeTable) -> str:
    """Return a sha256 of all that a test is of: networks, videos, episodes, matcher, floor."""
    floor = candidate.floor
    parts = {
        "features": {name: _made_from(store) for name, store in candidate.features.items()},
        "matcher": candidate.origin.get("matcher"),
        "episodes": episodes.hash,
        "floor": None if floor is None else {**_made_from(floor.videos), **floor.origin},
    }
    if (other := candidate.other_start) is not None:
        parts["other_start"] = {**_made_from(other.videos), **other.origin}
    text = as_json(parts, sort_keys=True, default=str, ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _made_from(features: FeatureStore) -> dict[str, Any]:
    """Return checkpoint, store and settings of features; their own hash where they name none."""
    made = {name: value for name, value in features.about.items() if name != "maps"}
    return made if "store" in made else {**made, "sha256": features.hash}


def compare(first: Evaluated, second: Evaluated) -> Paired:
    """Compute second minus first. Raises `UserError` where their episodes differ."""
    if first.episodes.hash != second.episodes.hash:
        raise UserError(
            f"{first.candidate.name} and {second.candidate.name} were tested on different videos; "
            "to compare them, give both the same --store"
        )
    return paired_counts(first.summary.correct, second.summary.correct, queries=first.asked)


def comparison(first: Evaluated, second: Evaluated) -> dict[str, Any]:
    """Return the result document of a comparison."""
    return {
        "format": "tasd-comparison",
        "version": 1,
        "first": first.content,
        "second": second.content,
        "second_minus_first": paired_document(compare(first, second)),
    }


def result_path(results: Sequence[Evaluated], out: Path | None, *, seeds: int) -> Path | None:
    """Return the path of the result file of one candidate, or of two that are compared.

    out: the path that a person chose; with several ``seeds`` the name ends with the seed.

    By default it is in the run's evaluation folder, for a plain backbone in the one below
    $TASD_HOME. For a feature file there is none.
    """
    last = results[-1]
    if out is not None:
        seed = last.episodes.seed
        return out.with_name(f"{out.stem}-seed{seed}{out.suffix}") if seeds > 1 else out
    origin = last.candidate.origin
    if "backbone" in origin:
        made = f"{last.candidate.videos.path.stem}-{origin['matcher']}"
        return home() / "evaluation" / f"{made}-{last.name}.json"
    if "run" not in origin:
        return None
    first = results[0]
    against = (
        f"-against-{path_part(first.candidate.name)}-{first.name[-8:]}" if len(results) == 2 else ""
    )
    return Path(origin["run"]) / "evaluation" / f"{last.name}{against}.json"
