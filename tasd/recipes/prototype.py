"""Prototypical networks on features averaged over time."""

from tasd.config import Config, MatcherOptions, TrainingOptions
from tasd.recipes.published import as_published, sgd


def prototype(dataset: str, shot: int) -> Config:
    """Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017.

    Command: ``tasd train --recipe prototype --way 5 --shot 1``. No number is published for these
    data sets under this protocol. Perrett's reimplementation (few-shot-action-recognition,
    method "tsn") trains with SGD at 1e-3, one step for each of 50,000 episodes with 5 queries a
    class, and takes the cosine as the score. The softmax is then nearly flat: lower
    ``matcher.options.temperature`` where the loss does not fall.
    """
    return as_published(
        dataset,
        shot,
        queries=5,
        matcher=MatcherOptions(name="prototype"),
        optimiser=sgd(1e-3),
        training=TrainingOptions(episodes=50_000, episodes_per_step=1),
    )
