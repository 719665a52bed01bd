"""The videos, features and episodes behind a run's result, where they are still there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.score import Result, score
from tasd.features.reader import open_features
from tasd.features.store import FeatureStore
from tasd.matchers.base import Matcher
from tasd.report.outcome import Outcome
from tasd.runs import checkpoint

AGAIN = "tasd evaluate writes them again"


@dataclass(frozen=True)
class CachedTest:
    """A tested run, and the cached features of the network that stands for it."""

    outcome: Outcome
    result: Mapping[str, Any]
    features: FeatureStore

    @property
    def split(self) -> str:
        """The split of the classes under test."""
        return str(self.result["provenance"]["split"]["name"])


def cached_test(outcome: Outcome) -> CachedTest:
    """Open the cached features of a run's result. Raises `UserError` with the reason for none."""
    result = outcome.result
    if result is None:
        raise UserError(f"{outcome.name} was not tested")
    try:
        noted = result["provenance"]["features"][result["chosen"]]
        name, digest = str(noted["path"]).rpartition("/")[2], noted["sha256"]
        split = result["provenance"]["split"]["name"]
    except (KeyError, TypeError):
        raise UserError("the result does not name its features; run tasd evaluate again") from None
    path = outcome.run.path / "features" / name
    if not path.exists():
        raise UserError(f"the features {name} of the test are no longer in the run; {AGAIN}")
    features = open_features(path)
    if features.hash != digest:
        raise UserError(f"the features {name} are not those of the test any more; {AGAIN}")
    features.classes(split)  # raises where the file does not have it
    return CachedTest(outcome, result, features)


def episodes_of(found: CachedTest) -> EpisodeTable:
    """Draw the episodes of the test again. Raises `UserError` where they cannot be drawn."""
    said, videos = found.result["episodes"], found.features.classes(found.split)
    if not isinstance(said.get("seed"), int):
        raise UserError("its episodes were read from a file, which the result does not hold")
    for groups in (None, found.features.groups):
        sampler = EpisodeSampler(
            videos=videos,
            way=int(said["way"]),
            shot=int(said["shot"]),
            queries=int(said["queries"]),
            length=int(said["count"]),
            seed=said["seed"],
            distinct_groups=groups,
        )
        table = EpisodeTable.draw(sampler)
        if table.hash == said.get("sha256"):
            return table
    raise UserError("the episodes of the test cannot be drawn again from these videos")


def matcher_of(found: CachedTest) -> Matcher:
    """Read the matcher of the tested network from its checkpoint. Raises `UserError`."""
    noted = found.result["provenance"].get("checkpoint", {})
    name = str(noted.get("file")).rpartition("/")[2]
    path = found.outcome.run.checkpoints / name
    if not path.exists():
        raise UserError(f"the checkpoint {name} of the test is no longer in the run")
    if checkpoint.file_hash(path) != noted.get("sha256"):
        raise UserError(
            f"the checkpoint {name} has changed since the test; run tasd evaluate again"
        )
    networks, chosen = checkpoint.networks(checkpoint.load(path)), found.result["chosen"]
    if chosen not in networks:
        raise UserError(f"the checkpoint {name} has no {chosen}")
    return networks[chosen].matcher


def scored(found: CachedTest, episodes: EpisodeTable, rows: np.ndarray, matcher: Matcher) -> Result:
    """Score the episodes with these numbers once more. Raises `UserError`."""
    some = replace(episodes, support=episodes.support[rows], query=episodes.query[rows])
    return score(found.features, some, matcher)
