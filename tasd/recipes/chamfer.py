"""Chamfer matching of frames."""

from tasd.config import Config, MatcherOptions, TrainingOptions
from tasd.recipes.published import as_published, sgd


def chamfer(dataset: str, shot: int) -> Config:
    """Bertrand et al., "Rethinking matching-based few-shot action recognition", SCIA 2023.

    Command: ``tasd train --recipe chamfer --way 5 --shot 1``. No number is published for this
    matcher under this protocol: the authors train a projection on features of an R(2+1)D network,
    which this matcher leaves out. The settings are therefore those of OTAM here, SGD at 1e-3, one
    step for each of 50,000 episodes with 5 queries a class, and a temperature of 0.1, without which
    the softmax over similarities is nearly flat.
    """
    return as_published(
        dataset,
        shot,
        queries=5,
        matcher=MatcherOptions(name="chamfer", options={"temperature": 0.1}),
        optimiser=sgd(1e-3),
        training=TrainingOptions(episodes=50_000, episodes_per_step=1),
    )
