"""The paper's baseline: the first row of Table 2."""

from tasd.config import Config
from tasd.recipes.published import NO_DISTILLATION
from tasd.recipes.tasd import tasd


def baseline(dataset: str, shot: int) -> Config:
    """Return the recipe ``tasd`` without its teacher: backbone, temporal encoder and BiMHM alone.

    Command: ``tasd train --recipe baseline --way 5 --shot 1``. The paper reports 86.31 on
    UCF101, 5-way 1-shot, with a 3D backbone.
    """
    return tasd(dataset, shot).model_copy(update={"recipe": "baseline", "distill": NO_DISTILLATION})
