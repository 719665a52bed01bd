"""Published results that reports compare with ours: 5-way accuracy in percent.

All with an ImageNet ResNet-50 on 8 RGB frames but ARN. `TABLE1` is as printed in Zhang et al.
(IJCAI 2024); of ARN that page prints figures of other classes, which stand beside those on the
usual splits. `LATER` is as its authors print it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

DATASETS = ("kinetics", "ucf101", "hmdb51")
# Percent, (1-shot, 5-shot).
Accuracies = tuple[float | None, float | None]
TITLES = {"kinetics": "Kinetics-100", "ucf101": "UCF101", "hmdb51": "HMDB51"}


@dataclass(frozen=True)
class Published:
    """A row of Table 1: the accuracies (1-shot, 5-shot) on each data set, None where missing.

    other_protocol: what the paper prints in their place, of another protocol. note: the reason.
    """

    method: str
    source: str
    accuracy: Mapping[str, Accuracies]
    other_protocol: Mapping[str, Accuracies] = field(default_factory=dict)
    note: str = ""

    def text(self, dataset: str, shot: int) -> str:
        """Return a cell: the accuracy, in brackets what the paper prints in its place, or "-"."""
        own = _of_shot(self.accuracy.get(dataset), shot)
        other = _of_shot(self.other_protocol.get(dataset), shot)
        if own is None:
            return "-"
        return f"{own:.1f}" if other is None else f"{own:.1f} ({other:.1f})"


def _of_shot(pair: Accuracies | None, shot: int) -> float | None:
    return pair[shot == 5] if pair is not None and shot in (1, 5) else None


def _row(method: str, source: str, *pairs: Accuracies | None) -> Published:
    given = zip(DATASETS, pairs, strict=True)
    return Published(method, source, {name: pair for name, pair in given if pair is not None})


ARN = Published(
    "ARN",
    "Zhang et al. 2020",
    accuracy={"kinetics": (63.7, 82.4), "ucf101": (66.3, 83.1), "hmdb51": (45.5, 59.0)},
    other_protocol={"ucf101": (62.1, 84.8), "hmdb51": (44.6, 59.1)},
    note="ARN: its own 3D network from scratch, on 20 frames; on these splits its Tables 3 and 4 "
    "(SSA, rotation), in brackets what the paper prints: means over five random splits of the "
    "classes in halves (its Table 1), another protocol.",
)
TABLE1 = (
    ARN,
    _row("OTAM", "Cao et al. 2020", (72.2, 84.2), (79.9, 88.9), (54.5, 68.0)),
    _row("ITANet", "Zhang et al. 2021", (73.6, 84.3), None, None),
    _row("TRX", "Perrett et al. 2021", (63.6, 85.9), (78.2, 96.1), (53.1, 75.6)),
    _row("TA2N", "Li et al. 2022", (72.8, 85.8), (81.9, 95.1), (59.7, 73.9)),
    _row("STRM", "Thatipelli et al. 2022", (62.9, 86.7), (80.5, 96.9), (52.3, 77.3)),
    _row("HyRSM", "Wang et al. 2022", (73.7, 86.1), (83.9, 94.7), (60.3, 76.0)),
    _row("BiMHM", "Wang et al. 2022", (72.3, 84.5), (81.7, 89.3), (58.3, 69.0)),
    _row("HCL", "Zheng et al. 2022", (73.7, 85.8), (82.5, 93.9), (59.1, 76.3)),
    _row("SloshNet", "Xing et al. 2023", (70.4, 87.0), (86.0, 97.1), (59.4, 77.5)),
    _row("MoLo", "Wang et al. 2023", (74.0, 85.6), (86.0, 95.5), (60.8, 77.4)),
    _row("TASD", "Zhang et al. 2024", (76.5, 87.4), (88.2, 96.1), (61.1, 77.4)),
)

# Systems after the paper. That of TS-FSAR is no row here: it reads the test classes' names.
LATER = (
    _row("TEAM", "Lee et al. 2025", (75.1, 88.2), (87.2, None), (62.8, None)),
    _row("MPL", "CVPR 2026, transductive", (77.1, 89.5), (90.1, 97.1), (63.3, 79.3)),
)


@dataclass(frozen=True)
class Ablation:
    """A row of Table 2 (UCF101, 5-way 1-shot): the accuracy with the terms that are on."""

    method: str
    terms: frozenset[str]
    accuracy: float


TABLE2 = (
    Ablation("Baseline", frozenset(), 86.31),
    Ablation("+ SD", frozenset({"ce"}), 87.02),
    Ablation("+ SD + PR", frozenset({"ce", "pr"}), 87.72),
    Ablation("+ SD + PR + MDD", frozenset({"ce", "pr", "at", "am"}), 88.32),
)


@dataclass(frozen=True)
class Pairs:
    """A row of Table 3 (Kinetics, 5-way 1-shot): the accuracy with one mode of video pairs.

    episode: the training episode of that accuracy.
    """

    mode: str
    episode: int
    accuracy: float


TABLE3 = (
    Pairs("SS", 10_000, 75.68),
    Pairs("QS", 10_000, 75.67),
    Pairs("CS", 25_000, 76.04),
)
