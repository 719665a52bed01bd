"""The recipe of `tasd demo`: from scratch, small enough for a CPU."""

from tasd.config import (
    Config,
    DataOptions,
    DistillOptions,
    EpisodeOptions,
    MatcherOptions,
    NetworkOptions,
    TrainingOptions,
)
from tasd.recipes.tasd import queries_per_class


def demo(dataset: str, shot: int) -> Config:
    """A ResNet-18 on 64 pixels from scratch, for the generated clips of ``tasd demo``.

    Command: ``tasd demo``. Some minutes on two cores. Two things differ from the recipe ``tasd``
    because there are no pretrained weights: the metric takes means, since sums over eight frames
    give logits too large for features that say nothing yet; and the distillation weighs a tenth,
    since the teacher knows nothing at first (at full weight the network stayed at chance).
    """
    return Config(
        recipe="demo",
        dataset=dataset,
        episode=EpisodeOptions(shot=shot, queries=queries_per_class(shot)),
        data=DataOptions(crop=64),
        network=NetworkOptions(backbone="resnet18", weights="none", depth=2, feedforward=1024),
        matcher=MatcherOptions(options={"reduction": "mean"}),
        distill=DistillOptions(ce=0.1, at=0.1, am=0.05, pr=0.05),
        training=TrainingOptions(episodes=700),
    )
