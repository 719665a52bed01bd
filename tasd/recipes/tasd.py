"""TASD with the recommended settings: the default recipe."""

from tasd.config import Config, EpisodeOptions


def queries_per_class(shot: int) -> int:
    """Return 5 training queries a class for one shot, else 3: as many as fit a 24 GB GPU."""
    return 5 if shot == 1 else 3


def tasd(dataset: str, shot: int) -> Config:
    """Return the method with the recommended settings.

    Command: ``tasd train --way 5 --shot 1``. ResNet-50, 30,000 episodes; the paper reports
    76.5 / 88.2 / 61.1 (1-shot) and 87.4 / 96.1 / 77.4 (5-shot) on Kinetics-100 / UCF101 /
    HMDB51. AdamW with a low rate for the pretrained backbone, warm-up and cosine. The map terms
    compare student and teacher on the same view; the projection term compares the query and the
    support of a class.
    """
    return Config(
        recipe="tasd",
        dataset=dataset,
        episode=EpisodeOptions(shot=shot, queries=queries_per_class(shot)),
    )
