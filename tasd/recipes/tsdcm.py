"""TS-DCM: task-specific distance correlation matching."""

from tasd.config import Config, MatcherOptions, OptimiserOptions, TrainingOptions
from tasd.recipes.published import as_published


def tsdcm(dataset: str, shot: int) -> Config:
    """Long et al., "Task-Specific Distance Correlation Matching", AAAI 2026, the matching alone.

    Command: ``tasd train --recipe tsdcm --way 5 --shot 1``. No number is published for this
    matcher under this protocol: TS-FSAR's are with CLIP ViT-B/16 and with the test classes' names
    as text, chosen on the test classes. From the authors' UCF101 configuration (TS-FSAR): AdamW at
    1e-4 with weight decay 0.1, one step for each of 10,000 episodes, 5 queries a class, 256
    channels, alpha 0.4. Ours: training end to end on an ImageNet backbone, where they train a side
    network of CLIP; the projection to 256 channels; none of their losses with text.
    """
    return as_published(
        dataset,
        shot,
        queries=5,
        matcher=MatcherOptions(name="tsdcm", options={"width": 256, "alpha": 0.4}),
        optimiser=OptimiserOptions(name="adamw", lr=1e-4, weight_decay=0.1, schedule="constant"),
        training=TrainingOptions(episodes=10_000, episodes_per_step=1),
    )
