"""ITANet: implicit temporal alignment."""

from tasd.config import Config, MatcherOptions, OptimiserOptions, TrainingOptions
from tasd.recipes.published import as_published


def itanet(dataset: str, shot: int) -> Config:
    """Zhang et al., "Learning Implicit Temporal Alignment for Few-shot Video Classification", 2021.

    Command: ``tasd train --recipe itanet --way 5 --shot 1``. Published: 73.6 (1-shot) and 84.3
    (5-shot) on Kinetics-100 (IJCAI 2021). Our reading: the authors' alignment code is not public,
    nor are the weights of their losses. Their code (PyAction) has SGD without momentum at 1e-3,
    one query an episode, 16 episodes a step, 270,000 episodes. Ours: momentum 0.9, weight decay
    1e-4, five queries a class, 20,000 episodes, the rate a tenth after half and three quarters of
    them, both classifiers at weight 1.
    """
    return as_published(
        dataset,
        shot,
        queries=5,
        matcher=MatcherOptions(name="itanet", losses={"video": 1.0, "frame": 1.0}),
        optimiser=OptimiserOptions(
            name="sgd",
            lr=1e-3,
            momentum=0.9,
            weight_decay=1e-4,
            schedule="step",
            step_at=(0.5, 0.75),
            step_factor=0.1,
        ),
        training=TrainingOptions(episodes=20_000),
    )
