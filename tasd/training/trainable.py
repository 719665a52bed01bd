"""Refusal of a config in which nothing is trained."""

from tasd.backbones import CACHED
from tasd.config import Config
from tasd.errors import UserError
from tasd.matchers import MATCHERS, has_weights


def check_learns(config: Config) -> None:
    """Raise `UserError` where no part of the network is fitted or has weights to train."""
    network, matcher = config.network, config.matcher
    frozen = network.weights != "none" and config.optimiser.backbone_scale == 0
    if network.depth or not (network.backbone == CACHED or frozen):
        return
    if network.wccn is not None and config.training.auxiliary:
        return  # fitted before the first step; the classifier's steps change nothing else
    if matcher.name in MATCHERS and not has_weights(matcher.name, options=matcher.options):
        raise UserError(
            "there is nothing to train: the backbone is fixed, network.depth is 0, and matcher "
            f"{matcher.name} has no weights; leave network.depth as it is, or choose another "
            "matcher, or score without training by tasd evaluate --features or --backbone"
        )
