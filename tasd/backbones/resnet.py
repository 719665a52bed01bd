"""ResNet-8 to ResNet-50 (He et al., Deep Residual Learning for Image Recognition, CVPR 2016)."""

from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

from tasd.backbones.base import Backbone, Pretrained
from tasd.types import IMAGENET_MEAN, IMAGENET_STD

_STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def _backbone(network: models.ResNet, weights: models.WeightsEnum) -> Backbone:
    channels = network.fc.in_features
    imagenet = Pretrained(weights, IMAGENET_MEAN, IMAGENET_STD)
    taps = {f"layer{n}": channels >> (4 - n) for n in (1, 2, 3)}
    return Backbone(
        _stages(network, _STAGES), channels, pretrained={"imagenet": imagenet}, taps=taps
    )


def _stages(network: models.ResNet, names: tuple[str, ...]) -> list[tuple[str, nn.Module]]:
    return [(name, getattr(network, name)) for name in names]


def resnet8() -> Backbone:
    """Build ResNet-8: 256 channels; the stem and three stages of one block, to train from scratch.

    It takes a third of the work of ResNet-18 and makes a map of 4 x 4 of 64 pixels. It has no
    published weights.
    """
    network = models.ResNet(BasicBlock, [1, 1, 1, 1])
    taps = {"layer1": 64, "layer2": 128}
    return Backbone(_stages(network, _STAGES[:-1]), 256, pretrained={}, taps=taps)


def resnet18() -> Backbone:
    """Build ResNet-18: 512 channels; for CPUs and small pictures."""
    return _backbone(models.resnet18(), models.ResNet18_Weights.IMAGENET1K_V1)


def resnet34() -> Backbone:
    """Build ResNet-34: 512 channels."""
    return _backbone(models.resnet34(), models.ResNet34_Weights.IMAGENET1K_V1)


def resnet50() -> Backbone:
    """Build ResNet-50: 2,048 channels; the backbone of the paper and of those it compares with."""
    return _backbone(models.resnet50(), models.ResNet50_Weights.IMAGENET1K_V1)
