"""MobileNetV2 (Sandler et al., Inverted Residuals and Linear Bottlenecks, CVPR 2018)."""

from tasd.backbones.base import Backbone, Pretrained
from tasd.types import IMAGENET_MEAN, IMAGENET_STD


def mobilenet_v2() -> Backbone:
    """Build MobileNetV2: 1,280 channels; a pretrained network that a CPU can train."""
    from torchvision import models

    network = models.mobilenet_v2()
    weights = models.MobileNet_V2_Weights.IMAGENET1K_V1
    imagenet = Pretrained(weights, IMAGENET_MEAN, IMAGENET_STD)
    return Backbone(
        [("features", network.features)],
        network.last_channel,
        pretrained={"imagenet": imagenet},
        taps={"features.3": 24, "features.6": 32, "features.13": 96},
    )
