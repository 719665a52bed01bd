"""MoLo: motion-augmented long-short contrast."""

from dataclasses import dataclass

from tasd.config import Config, MatcherOptions, TrainingOptions
from tasd.recipes.published import adam, as_published

PER_STEP = 4


@dataclass(frozen=True)
class Setting:
    """The settings that differ between data sets in the authors' configurations.

    position: scale of the features (a) and of the position table (b). classifier, contrast,
    reconstruction: weights as written in their configurations.
    """

    position: tuple[float, float]
    classifier: float
    contrast: float
    reconstruction: float
    lr: float
    episodes: int


SETTINGS = {
    "kinetics": Setting((2048.0, 0.02), 0.1, 0.05, 0.1, 2e-5, 5000),
    "ucf101": Setting((10.0, 1.0), 0.6, 0.05, 0.05, 5e-5, 6000),
    "hmdb51": Setting((10.0, 1.0), 0.4, 0.05, 0.05, 5e-5, 2000),
}


def molo(dataset: str, shot: int) -> Config:
    """Wang et al., "MoLo: Motion-augmented Long-short Contrastive Learning", CVPR 2023.

    Command: ``tasd train --recipe molo --way 5 --shot 1``. Published: 74.0 / 86.0 / 60.8 (1-shot)
    and 85.6 / 95.5 / 77.4 (5-shot) on Kinetics-100 / UCF101 / HMDB51. The authors' code (MoLo):
    Adam at 2e-5 (Kinetics) or 5e-5 with weight decay 5e-4, lowered in steps, 5,000 episodes
    (UCF101: 6,000, HMDB51: 2,000), four a step, 6 queries a class, features scaled by 2048 and the
    position table by 0.02 (UCF101 and HMDB51: 10 and 1), motion of weight 0.3 in the scores, a
    classifier of weight 0.1 (0.6, 0.4), contrast of 0.05. The code divides all losses by four
    except the reconstruction's, which is therefore four times that of the configurations, here too:
    0.4 (UCF101 and HMDB51: 0.2). Other data sets use the settings for UCF101.
    """
    own = SETTINGS.get(dataset, SETTINGS["ucf101"])
    a, b = own.position
    return as_published(
        dataset,
        shot,
        queries=6,
        matcher=MatcherOptions(
            name="molo",
            options={"position_a": a, "position_b": b, "motion_weight": 0.3},
            losses={
                "classifier": own.classifier,
                "contrast": own.contrast,
                "reconstruction": PER_STEP * own.reconstruction,
            },
        ),
        optimiser=adam(own.lr),
        training=TrainingOptions(episodes=own.episodes, episodes_per_step=PER_STEP),
    )
