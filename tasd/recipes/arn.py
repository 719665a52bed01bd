"""ARN: action relation network."""

from tasd.config import (
    Config,
    DataOptions,
    MatcherOptions,
    NetworkOptions,
    OptimiserOptions,
    TrainingOptions,
)
from tasd.recipes.published import as_published

A_S = {"ucf101": 1.5}  # added to the spatial attention; elsewhere 1.0, as for HMDB51


def arn(dataset: str, shot: int) -> Config:
    """Zhang et al., "Few-shot Action Recognition with Permutation-invariant Attention", ECCV 2020.

    Command: ``tasd train --recipe arn --way 5 --shot 1``, on a store of 20 frames or more of 128
    pixels (``tasd prep ... --size 128``; prep keeps 32 frames by default). Published: 63.7 / 66.3 /
    45.5 (1-shot) and 82.4 / 83.1 / 59.0 (5-shot) on Kinetics-100 / UCF101 / HMDB51, its row SSA
    (rotation). Other papers print 62.1 / 44.6 and 84.8 / 59.1 for the last two, from five random
    splits of the classes in halves.

    The paper's: 20 frames of 128 pixels, a network of its own from scratch, a_s of 1.5 (UCF101) or
    1.0 (HMDB51). ZJUT's code (mindvideo): Adam at 1e-3, one query a class, one episode a step.
    Ours, after the first author's SoSN: 100,000 episodes, the rate halved each 25,000. Ours, for
    want of a source: the weights 0.1 of self-supervision (beta) and of alignment (gamma). As a head
    on another backbone it is a new result:
    ``--backbone resnet50 --weights imagenet --set optimiser.backbone_scale=0.04``, and
    ``--set data.frames=8 --crop 224`` for its usual frames.
    """
    config = as_published(
        dataset,
        shot,
        queries=1,
        matcher=MatcherOptions(
            name="arn",
            options={"variant": "ssa_rotation", "a_s": A_S.get(dataset, 1.0)},
            losses={"mse": 1.0, "self_supervision": 0.1, "alignment": 0.1},
        ),
        optimiser=OptimiserOptions(
            name="adam",
            lr=1e-3,
            weight_decay=0,
            schedule="step",
            step_at=(0.25, 0.5, 0.75),
            step_factor=0.5,
        ),
        training=TrainingOptions(episodes=100_000),
    )
    own = {
        "data": DataOptions(frames=20, crop=128),
        "network": NetworkOptions(backbone="c3d64", weights="none", depth=0),
    }
    return config.model_copy(update=own)
