"""The common part of the recipes of other authors' methods."""

from tasd.config import (
    Config,
    DistillOptions,
    EpisodeOptions,
    MatcherOptions,
    NetworkOptions,
    OptimiserOptions,
    TrainingOptions,
)

NO_DISTILLATION = DistillOptions(ce=0, at=0, am=0, pr=0)


def as_published(
    dataset: str,
    shot: int,
    *,
    queries: int,
    matcher: MatcherOptions,
    optimiser: OptimiserOptions,
    training: TrainingOptions,
) -> Config:
    """Return a matcher on plain backbone features, trained end to end as its authors do.

    Common to all of them: no temporal encoder, no auxiliary classifier but the matcher's own,
    one learning rate for all weights, no clipping. Three things differ from their code: BatchNorm
    keeps its pretrained statistics (theirs updates them), the precision, and the checkpoint is
    chosen on the validation classes (theirs on the test classes).
    """
    return Config(
        recipe=matcher.name,
        dataset=dataset,
        episode=EpisodeOptions(shot=shot, queries=queries),
        network=NetworkOptions(depth=0),
        matcher=matcher,
        distill=NO_DISTILLATION,
        optimiser=optimiser.model_copy(update={"backbone_scale": 1.0, "clip": None}),
        training=training.model_copy(update={"auxiliary": 0.0}),
    )


def sgd(lr: float) -> OptimiserOptions:
    """Return SGD at a constant rate, as in the code of TRX and of its successors."""
    return OptimiserOptions(name="sgd", lr=lr, weight_decay=0, schedule="constant")


def adam(lr: float) -> OptimiserOptions:
    """Return Adam as for HyRSM and MoLo, with a cosine for their four steps to 0.05 or 0.01."""
    return OptimiserOptions(name="adam", lr=lr, weight_decay=5e-4)
