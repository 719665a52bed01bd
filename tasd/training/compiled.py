"""The compiled backbone of a run that asks for one."""

import shutil

from tasd.backbones.base import Backbone
from tasd.errors import UserError


def compile_backbone(backbone: Backbone) -> None:
    """Compile it by torch.compile. Raises `UserError` where that cannot be done."""
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        raise UserError(
            "training.compile = true needs a C++ compiler and none is on the PATH; install g++ "
            "or leave training.compile off"
        )
    if backbone.gradient_checkpointing and not backbone.batchnorm_frozen:
        raise UserError(
            "training.compile = true with network.gradient_checkpointing = true needs frozen "
            "BatchNorm, which network.weights = 'none' and network.batchnorm = 'live' exclude; "
            "leave one of the two off"
        )
    backbone.compile()
