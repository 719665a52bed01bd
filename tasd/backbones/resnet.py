"""ResNet-8 to ResNet-50 (He et al., Deep Residual Learning for Image Recognition, CVPR 2016)."""

from torch import nn

from tasd.backbones.base import Backbone, Pretrained
from tasd.types import IMAGENET_MEAN, IMAGENET_STD

_STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def _backbone(name: str) -> Backbone:
    from torchvision import models

    network = models.get_model(name)
    weights = models.get_model_weights(name)["IMAGENET1K_V1"]
    channels = network.fc.in_features
    return Backbone(
        _stages(network, _STAGES),
        channels,
        pretrained={"imagenet": Pretrained(weights, IMAGENET_MEAN, IMAGENET_STD)},
        taps={f"layer{n}": channels >> (4 - n) for n in (1, 2, 3)},
    )


def _stages(network: nn.Module, names: tuple[str, ...]) -> list[tuple[str, nn.Module]]:
    return [(name, getattr(network, name)) for name in names]


def resnet8() -> Backbone:
    """Build ResNet-8: 256 channels; the stem and three stages of one block, to train from scratch.

    It takes a third of the work of ResNet-18 and makes a map of 4 x 4 of 64 pixels. It has no
    published weights.
    """
    from torchvision.models.resnet import BasicBlock, ResNet

    network = ResNet(BasicBlock, [1, 1, 1, 1])
    taps = {"layer1": 64, "layer2": 128}
    return Backbone(_stages(network, _STAGES[:-1]), 256, pretrained={}, taps=taps)


def resnet18() -> Backbone:
    """Build ResNet-18: 512 channels; for CPUs and small pictures."""
    return _backbone("resnet18")


def resnet34() -> Backbone:
    """Build ResNet-34: 512 channels."""
    return _backbone("resnet34")


def resnet50() -> Backbone:
    """Build ResNet-50: 2,048 channels; the backbone of the paper and of those it compares with."""
    return _backbone("resnet50")
