"""Networks that are narrower than published, where their size is not what is tested.

`tiny` is known to all tests and to the forks of `tests/fork_server.py`, and not to other processes.
"""

import pytest
from torch import nn

from tasd.backbones import BACKBONES
from tasd.backbones.base import Backbone
from tasd.matchers import arn, arn_relation


def tiny() -> Backbone:
    """Two strided convolutions, 16 channels; the backbone of tests/kept."""
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    body = nn.Sequential(nn.Conv2d(8, 16, 3, 4, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return Backbone([("stem", stem), ("body", body)], 16, pretrained={})


BACKBONES["tiny"] = tiny


def narrow_arn(patch: pytest.MonkeyPatch, width: int = 32) -> None:
    """Let ARN correlate fewer channels than 64: a sixteenth of the work of its network."""
    for module in (arn, arn_relation):
        patch.setattr(module, "WIDTH", width)
