"""The classes that a network takes for one another, from the counts in a result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tasd.errors import UserError

MOST_CLASSES = 32  # rows of a matrix that can still be read


@dataclass(frozen=True)
class Confusions:
    """Counts of true classes (rows) and predicted classes (columns), by name.

    counts[i, j]: queries of class i that were taken for j. offered[i, j]: queries of class i in
    whose episode j was a choice. left_out: classes that have no row, being easier than the rest.
    """

    classes: tuple[str, ...]
    counts: Int[np.ndarray, "classes classes"]
    offered: Int[np.ndarray, "classes classes"]
    left_out: int = 0

    @property
    def shares(self) -> Float[np.ndarray, "classes classes"]:
        """The share of answers among the queries that offered them; nan where none did."""
        offered = np.maximum(self.offered, 1)
        return np.asarray(np.where(self.offered > 0, self.counts / offered, np.nan))


@dataclass(frozen=True)
class Confusion:
    """A class that was taken for another in ``count`` of ``offered`` queries."""

    true: str
    predicted: str
    count: int
    offered: int


def read_confusions(network: Mapping[str, Any], *, most: int = MOST_CLASSES) -> Confusions:
    """Read the counts of a network's result, the hardest ``most`` classes where there are more.

    Raises `UserError` where the result has none that can be read.
    """
    try:
        found = network["confusion"]
        names = tuple(str(name) for name in found["classes"])
        counts, offered = (np.array(found[key], np.int64) for key in ("counts", "offered"))
        square = (len(names), len(names))
        if counts.shape != square or offered.shape != square or (counts > offered).any():
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UserError(
            "the result holds no counts of confusions; run tasd evaluate again"
        ) from None
    whole = Confusions(names, counts, offered)
    tested = np.flatnonzero(np.diag(offered) > 0)
    right = np.diag(whole.shares)[tested]
    kept = np.sort(tested[np.argsort(right, kind="stable")[:most]])
    return Confusions(
        classes=tuple(names[place] for place in kept),
        counts=counts[np.ix_(kept, kept)],
        offered=offered[np.ix_(kept, kept)],
        left_out=len(tested) - len(kept),
    )


def most_frequent(found: Confusions, *, count: int = 10) -> Sequence[Confusion]:
    """Return the confusions with the highest shares, of two different classes each."""
    shares = np.nan_to_num(found.shares)
    np.fill_diagonal(shares, 0)
    places = np.argsort(-shares, axis=None, kind="stable")[:count]
    pairs = [np.unravel_index(place, shares.shape) for place in places]
    return [
        Confusion(
            found.classes[i], found.classes[j], int(found.counts[i, j]), int(found.offered[i, j])
        )
        for i, j in pairs
        if found.counts[i, j] and i != j
    ]
