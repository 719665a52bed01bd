"""The episodes of a test that went worst, with the scores of their queries."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from tasd.episodes.table import EpisodeTable
from tasd.evaluation.score import Result
from tasd.report.cached_test import CachedTest, episodes_of, matcher_of, scored

HARDEST, SPREAD = 18, 6  # episodes that are shown: the hardest, and some of all others
CANDIDATES = 120  # as hard by their count of right answers, ordered by their scores


@dataclass(frozen=True)
class Answer:
    """A query of an episode. true, given: places in the episode's classes; scores: one for each."""

    video: str
    true: int
    given: int
    scores: tuple[float, ...]

    @property
    def right(self) -> bool:
        """True where the highest score is of the true class."""
        return self.true == self.given


@dataclass(frozen=True)
class ShownEpisode:
    """An episode of the test. number: counted from 1. support: videos of each class."""

    number: int
    classes: tuple[str, ...]
    support: tuple[tuple[str, ...], ...]
    answers: tuple[Answer, ...]

    @property
    def right(self) -> int:
        """Number of queries that were answered right."""
        return sum(answer.right for answer in self.answers)


def hardest_episodes(found: CachedTest) -> list[ShownEpisode]:
    """Return the hardest episodes, hardest first, then some of the others by their hardness.

    Of episodes with as many right answers the one is harder whose true classes scored further
    below the best other ones. Raises `UserError` where the test cannot be repeated.
    """
    episodes, chosen = episodes_of(found), found.result["chosen"]
    right = np.array(found.result["networks"][chosen]["correct"], np.int64)
    order = np.argsort(right, kind="stable")
    candidates, rest = order[:CANDIDATES], order[CANDIDATES:]
    rows = np.concatenate([candidates, _spread(rest)])
    result = scored(found, episodes, rows, matcher_of(found))
    places = _places(result, candidates=len(candidates))
    return [_shown(episodes, result, rows, int(place)) for place in places]


def _spread(order: Int64[np.ndarray, " many"]) -> Int64[np.ndarray, " few"]:
    """Return a few of many, evenly from the first to the last."""
    ends = np.linspace(0, max(0, len(order) - 1), min(SPREAD, len(order)))
    return np.asarray(order[ends.astype(np.int64)])


def _places(result: Result, *, candidates: int) -> Int64[np.ndarray, " shown"]:
    """Return the places of the episodes that are shown, the hardest first.

    candidates: number of episodes, at the beginning, of which the hardest are.
    """
    order = np.lexsort((_margins(result), result.correct.sum(axis=1)))
    hard, others = order[order < candidates], order[order >= candidates]
    if not len(others):
        others = _spread(hard[HARDEST:])
    return np.concatenate([hard[:HARDEST], others])


def _margins(result: Result) -> Float[np.ndarray, " episodes"]:
    """Return for each episode the mean of the true class's score minus the best other's."""
    own = np.repeat(np.arange(result.episodes.way), result.episodes.queries)
    logits = result.logits.astype(np.float64)
    index = np.broadcast_to(own[None, :, None], (*logits.shape[:2], 1))
    true = np.take_along_axis(logits, index, axis=2)[..., 0]
    others = logits.copy()
    np.put_along_axis(others, index, -np.inf, axis=2)
    return np.asarray((true - others.max(axis=2)).mean(axis=1))


def _shown(
    episodes: EpisodeTable, result: Result, rows: Int64[np.ndarray, " scored"], place: int
) -> ShownEpisode:
    row = int(rows[place])
    classes = tuple(episodes.classes[c] for c in episodes.chosen[row])
    support = tuple(tuple(episodes.videos[v] for v in own) for own in episodes.support[row])
    queries = episodes.query[row, : episodes.way].reshape(-1)
    logits = result.logits[place]
    answers = tuple(
        Answer(
            video=episodes.videos[video],
            true=number // episodes.queries,
            given=int(scores.argmax()),
            scores=tuple(map(float, scores)),
        )
        for number, (video, scores) in enumerate(zip(queries, logits, strict=True))
    )
    return ShownEpisode(row + 1, classes, support, answers)
