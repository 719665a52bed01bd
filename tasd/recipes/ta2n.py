"""TA2N: two-stage action alignment."""

from tasd.config import Config, MatcherOptions, TrainingOptions
from tasd.recipes.published import as_published, sgd


def ta2n(dataset: str, shot: int) -> Config:
    """Li et al., "TA2N: Two-Stage Action Alignment Network", AAAI 2022.

    Command: ``tasd train --recipe ta2n --way 5 --shot 1``. Published: 72.8 / 81.9 / 59.7 (1-shot)
    and 85.8 / 95.1 / 73.9 (5-shot) on Kinetics-100 / UCF101 / HMDB51. The authors' code (TA2N):
    SGD without momentum at 1e-3, the gradient of 16 episodes a step, 5 queries a class, dropout
    0.5 on the maps, further shots aligned with the first. Their code allows 100,020 episodes
    and gives no number at which it stops; ours takes the usual 30,000.
    """
    return as_published(
        dataset,
        shot,
        queries=5,
        matcher=MatcherOptions(name="ta2n", options={"reference": "first", "dropout": 0.5}),
        optimiser=sgd(1e-3),
        training=TrainingOptions(episodes_per_step=16),
    )
