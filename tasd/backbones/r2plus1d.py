"""R(2+1)D-18 (Tran et al., A Closer Look at Spatiotemporal Convolutions, CVPR 2018)."""

from torch import nn

from tasd.backbones.base import Backbone, Pretrained

_STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


def r2plus1d_18() -> Backbone:
    """Build R(2+1)D-18: 512 channels; the 3D backbone of Table 2.

    Temporal strides are set to 1, so that the map keeps all T frames. The published weights were
    trained on all of Kinetics-400, which holds the test classes of Kinetics-100.
    """
    from torchvision.models import video

    network = video.r2plus1d_18()
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            module.stride = (1, *module.stride[1:])
    kinetics = Pretrained(
        video.R2Plus1D_18_Weights.KINETICS400_V1,
        mean=(0.43216, 0.394666, 0.37645),
        std=(0.22803, 0.22145, 0.216989),
    )
    return Backbone(
        [(name, getattr(network, name)) for name in _STAGES],
        network.fc.in_features,
        pretrained={"kinetics400": kinetics},
        clips=True,
        size=112,
    )
