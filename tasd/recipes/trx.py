"""TRX: temporal-relational cross-transformers."""

from tasd.config import Config, MatcherOptions, TrainingOptions
from tasd.recipes.published import as_published, sgd


def trx(dataset: str, shot: int) -> Config:
    """Perrett et al., "Temporal-Relational CrossTransformers", CVPR 2021.

    Command: ``tasd train --recipe trx --way 5 --shot 5``. Published: 63.6 / 78.2 / 53.1 (1-shot)
    and 85.9 / 96.1 / 75.6 (5-shot) on Kinetics-100 / UCF101 / HMDB51. The authors' code (trx):
    SGD without momentum at 1e-3, the gradient of 16 episodes a step, 5 queries a class, pairs
    and triples of frames, keys and values of 1152, dropout 0.1. The paper trains for 10,000
    episodes, longer on larger data.
    """
    return as_published(
        dataset,
        shot,
        queries=5,
        matcher=MatcherOptions(
            name="trx", options={"cardinalities": [2, 3], "width": 1152, "dropout": 0.1}
        ),
        optimiser=sgd(1e-3),
        training=TrainingOptions(episodes=10_000, episodes_per_step=16),
    )
