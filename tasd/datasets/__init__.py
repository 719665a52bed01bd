"""The data sets: layouts of their videos, lists, and class splits. Needs no torch."""

from tasd.datasets.base import Dataset, Problem, Scan, SourceVideo
from tasd.datasets.folder import FOLDER
from tasd.datasets.hmdb51 import HMDB51
from tasd.datasets.kinetics import KINETICS
from tasd.datasets.lists import Listed, Selection, read_list, select
from tasd.datasets.scan import scan
from tasd.datasets.splits import class_splits
from tasd.datasets.ssv2 import SSV2
from tasd.datasets.ucf101 import UCF101

DATASETS: dict[str, Dataset] = {
    "kinetics": KINETICS,
    "ucf101": UCF101,
    "hmdb51": HMDB51,
    "ssv2": SSV2,
    "folder": FOLDER,
}

__all__ = [
    "DATASETS",
    "Dataset",
    "Listed",
    "Problem",
    "Scan",
    "Selection",
    "SourceVideo",
    "class_splits",
    "read_list",
    "scan",
    "select",
]
