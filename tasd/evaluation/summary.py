"""The result of many episodes in few numbers, added up part by part."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt16

from tasd.episodes.table import EpisodeTable
from tasd.evaluation import metrics
from tasd.evaluation.bootstrap import Appearances, appearances, bootstrap_of
from tasd.evaluation.metrics import Interval, Spread
from tasd.evaluation.score import Result


@dataclass(frozen=True, eq=False)
class Summary:
    """The result of one network on one set of episodes.

    over_episodes: 95 % interval over the sampling of episodes alone. over_classes, over_videos:
    95 % intervals over other classes, and over other videos of these classes; nan where an
    episode takes all there are. per_class: accuracy by class name. correct: number of right
    predictions in each episode, for paired differences: all that is kept of an episode.
    """

    over_episodes: Interval
    over_classes: Interval
    over_videos: Interval
    per_class: dict[str, float]
    confusion: metrics.Confusion
    correct: UInt16[np.ndarray, " episodes"]

    @property
    def accuracy(self) -> float:
        """The mean accuracy over episodes."""
        return self.over_episodes.mean


def summary_of(parts: Iterable[Result], episodes: EpisodeTable) -> Summary:
    """Summarise the results of ``episodes``, given in parts; no part is held for longer."""
    sums = _Sums(episodes)
    for part in parts:
        sums.add(part)
    return sums.summary()


class _Sums:
    """Counts over episodes; whole numbers, so that the parts make no difference."""

    def __init__(self, episodes: EpisodeTable) -> None:
        self.episodes = episodes
        self.queries = int(episodes.query[0].size)
        classes, videos = len(episodes.classes), len(episodes.videos)
        self.correct = np.zeros(len(episodes), np.uint16)
        self.done = 0
        self.times = np.zeros(self.queries + 1, np.int64)  # of each number of right answers
        self.confusion = metrics.Confusion(
            *(np.zeros((classes, classes), np.int64) for _ in range(2))
        )
        self.classes, self.videos = (
            Appearances(np.zeros(units, np.int64), np.zeros(units)) for units in (classes, videos)
        )

    def add(self, result: Result) -> None:
        """Add the result of the next episodes."""
        correct = result.correct.sum(axis=1)
        self.correct[self.done : self.done + len(correct)] = correct
        self.times += np.bincount(correct, minlength=len(self.times))
        self.done += len(correct)
        episodes, confusion = result.episodes, self.confusion
        found = metrics.confusion(
            result.truth, result.predicted, episodes.chosen, classes=len(episodes.classes)
        )
        np.add(confusion.counts, found.counts, out=confusion.counts)
        np.add(confusion.offered, found.offered, out=confusion.offered)
        for sums, members in ((self.classes, episodes.chosen), (self.videos, episodes.members)):
            more = appearances(members, correct, units=len(sums.times))
            np.add(sums.times, more.times, out=sums.times)
            np.add(sums.total, more.total, out=sums.total)

    def summary(self) -> Summary:
        """Return the summary of all episodes."""
        episodes, counts = self.episodes, self.confusion.counts
        spread = Spread.of_shares(self.times, first=0, whole=self.queries)
        asked = counts.sum(axis=1)
        return Summary(
            over_episodes=spread.interval,
            over_classes=bootstrap_of(
                spread,
                self._shares(self.classes),
                np.zeros(len(episodes.classes), np.int64),
                together=episodes.way,
            ),
            over_videos=bootstrap_of(
                spread,
                self._shares(self.videos),
                episodes.video_class,
                together=episodes.shot + episodes.queries,
            ),
            per_class={
                name: float(right / of)
                for name, right, of in zip(episodes.classes, counts.diagonal(), asked, strict=True)
                if of
            },
            confusion=self.confusion,
            correct=self.correct,
        )

    def _shares(self, sums: Appearances) -> Appearances:
        return Appearances(sums.times, sums.total / self.queries)
