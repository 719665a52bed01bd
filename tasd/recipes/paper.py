"""The settings as printed in the paper."""

from tasd.config import Config, DistillOptions, EpisodeOptions, OptimiserOptions, TrainingOptions
from tasd.recipes.tasd import queries_per_class


def paper(dataset: str, shot: int) -> Config:
    """Return the settings of section 4.1 of the paper, word by word, for comparison.

    Command: ``tasd train --recipe paper --way 5 --shot 1``. Adam at 5e-4 on every weight is 10
    to 25 times the rate of every published end-to-end recipe of this field. Eqs. 9 to 11 are
    sums, as printed, with the weights of the detection work that they come from.
    """
    return Config(
        recipe="paper",
        dataset=dataset,
        episode=EpisodeOptions(shot=shot, queries=queries_per_class(shot)),
        distill=DistillOptions(
            at=4e-3,
            am=7e-5,
            pr=7e-5,
            ce_pairs="CS",
            map_pairs="CS",
            form="sum",
            ema="constant",
            ema_start=0.004,
        ),
        optimiser=OptimiserOptions(
            name="adam", backbone_scale=1.0, weight_decay=0, clip=None, schedule="constant"
        ),
        training=TrainingOptions(auxiliary=0, precision="float32", channels_last=False),
    )
