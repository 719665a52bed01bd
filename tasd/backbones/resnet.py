"""ResNet-18, -34 and -50 (He et al., Deep Residual Learning for Image Recognition, CVPR 2016)."""

from torch import nn
from torchvision import models

from tasd.backbones.base import IMAGENET_MEAN, IMAGENET_STD, Backbone, Pretrained

_STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def _backbone(network: models.ResNet, weights: models.WeightsEnum) -> Backbone:
    channels = network.fc.in_features
    imagenet = Pretrained(weights, IMAGENET_MEAN, IMAGENET_STD)
    stages: list[tuple[str, nn.Module]] = [(name, getattr(network, name)) for name in _STAGES]
    return Backbone(stages, channels, pretrained={"imagenet": imagenet})


def resnet18() -> Backbone:
    """512 channels; for CPUs and small pictures."""
    return _backbone(models.resnet18(), models.ResNet18_Weights.IMAGENET1K_V1)


def resnet34() -> Backbone:
    """512 channels."""
    return _backbone(models.resnet34(), models.ResNet34_Weights.IMAGENET1K_V1)


def resnet50() -> Backbone:
    """2,048 channels; the backbone of the paper and of its peers."""
    return _backbone(models.resnet50(), models.ResNet50_Weights.IMAGENET1K_V1)
