"""STRM: spatio-temporal relation modelling."""

from tasd.config import Config, MatcherOptions, TrainingOptions
from tasd.recipes.published import as_published, sgd


def strm(dataset: str, shot: int) -> Config:
    """Thatipelli et al., "Spatio-temporal Relation Modeling", CVPR 2022.

    Command: ``tasd train --recipe strm --way 5 --shot 5``. Published: 62.9 / 80.5 / 52.3 (1-shot)
    and 86.7 / 96.9 / 77.3 (5-shot) on Kinetics-100 / UCF101 / HMDB51. The authors' code (strm):
    SGD without momentum at 1e-4, the gradient of 16 episodes a step, 20,010 episodes, 4 queries
    a class, pairs of frames alone, keys and values of 1152. The post-patch score has weight 0.1,
    both as a loss and in the scores.
    """
    return as_published(
        dataset,
        shot,
        queries=4,
        matcher=MatcherOptions(
            name="strm",
            options={"cardinalities": [2], "width": 1152, "dropout": 0.1, "post_patch": 0.1},
            losses={"post_patch": 0.1},
        ),
        optimiser=sgd(1e-4),
        training=TrainingOptions(episodes=20_010, episodes_per_step=16),
    )
