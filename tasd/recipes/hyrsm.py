"""HyRSM: hybrid relations and set matching."""

from dataclasses import dataclass

from tasd.config import Config, MatcherOptions, TrainingOptions
from tasd.recipes.published import adam, as_published


@dataclass(frozen=True)
class Setting:
    """The settings that differ between data sets in the authors' configurations.

    position: scale of the features (a) and of the position table (b). classifier: its weight.
    """

    position: tuple[float, float]
    classifier: float
    lr: float
    episodes: int
    per_step: int = 4


SETTINGS = {
    "kinetics": Setting((2048.0, 0.01), 0.4, 2.2e-5, 1200),
    "ucf101": Setting((10.0, 1.0), 0.15, 5e-5, 2500),
    "hmdb51": Setting((10.0, 1.0), 0.15, 5e-5, 2000, per_step=2),
}


def hyrsm(dataset: str, shot: int) -> Config:
    """Wang et al., "Hybrid Relation Guided Set Matching", CVPR 2022.

    Command: ``tasd train --recipe hyrsm --way 5 --shot 1``. Published: 73.7 / 83.9 / 60.3 (1-shot)
    and 86.1 / 94.7 / 76.0 (5-shot) on Kinetics-100 / UCF101 / HMDB51. The authors' code (HyRSM):
    Adam at 2.2e-5 (Kinetics) or 5e-5 with weight decay 5e-4, lowered in steps, 1,200 episodes
    (UCF101: 2,500, HMDB51: 2,000), four a step (HMDB51: two), 7 queries a class, a frame classifier
    of weight 0.4 (Kinetics) or 0.15, features scaled by 2048 and the position table by 0.01 (UCF101
    and HMDB51: 10 and 1). Other data sets use the settings for UCF101.
    """
    own = SETTINGS.get(dataset, SETTINGS["ucf101"])
    a, b = own.position
    return as_published(
        dataset,
        shot,
        queries=7,
        matcher=MatcherOptions(
            name="hyrsm",
            options={"position_a": a, "position_b": b},
            losses={"classifier": own.classifier},
        ),
        optimiser=adam(own.lr),
        training=TrainingOptions(episodes=own.episodes, episodes_per_step=own.per_step),
    )
