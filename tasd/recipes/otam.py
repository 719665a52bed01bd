"""OTAM: ordered temporal alignment."""

from tasd.config import Config, MatcherOptions, TrainingOptions
from tasd.recipes.published import as_published, sgd


def otam(dataset: str, shot: int) -> Config:
    """Cao et al., "Few-Shot Video Classification via Temporal Alignment", CVPR 2020.

    Command: ``tasd train --recipe otam --way 5 --shot 1``. Published: 72.2 / 79.9 / 54.5 (1-shot)
    and 84.2 / 88.9 / 68.0 (5-shot) on Kinetics-100 / UCF101 / HMDB51. The authors' code is not
    public. Perrett's reimplementation (few-shot-action-recognition) trains with SGD at 1e-3, one
    step for each of 50,000 episodes, 5 queries a class, lambda 0.1.
    """
    return as_published(
        dataset,
        shot,
        queries=5,
        matcher=MatcherOptions(name="otam", options={"smoothing": 0.1}),
        optimiser=sgd(1e-3),
        training=TrainingOptions(episodes=50_000, episodes_per_step=1),
    )
