"""What the recipes of other people's methods have in common."""

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
    """A matcher on plain backbone features, trained end to end as its authors do.

    Common to all of them: no temporal encoder, no auxiliary classifier but the matcher's own,
    one learning rate for all weights, no clipping. What stays ours everywhere: BatchNorm at its
    pretrained statistics (their code lets it run), the precision, and the checkpoint, chosen on
    the validation classes (theirs is chosen on the test classes).
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
    """Plain descent at one rate throughout, as in TRX's code and what was built on it."""
    return OptimiserOptions(name="sgd", lr=lr, weight_decay=0, schedule="constant")


def adam(lr: float) -> OptimiserOptions:
    """HyRSM's and MoLo's, whose rate falls in four stairs to 0.05 or 0.01; here by a cosine."""
    return OptimiserOptions(name="adam", lr=lr, weight_decay=5e-4)
