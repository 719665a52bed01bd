"""C3D-64 (Zhang et al., Few-shot Action Recognition with Permutation-invariant Attention, 2020)."""

from torch import nn

from tasd.backbones.base import Backbone
from tasd.errors import UserError

WIDTH, SIDE = 64, 128
STRIDE = 4  # of two pools, in time as in space


class C3D64(Backbone):
    """Four blocks of 3D convolution, BatchNorm and ReLU; each of the first two is pooled by 2.

    It reads 20 frames of 128 pixels and makes a map of 5 x 32 x 32. It has no published weights.
    The layers are those of ZJUT's code (mindvideo), the initialisation that of the authors' own
    code of its ancestor (SoSN): convolutions of deviation sqrt(2 / (27 * 64)).
    """

    def __init__(self) -> None:
        stages = [
            ("conv1", _block(3, bias=False, pool=True)),
            ("conv2", _block(WIDTH, bias=True, pool=True)),
            ("conv3", _block(WIDTH, bias=True, pool=False)),
            ("conv4", _block(WIDTH, bias=True, pool=False)),
        ]
        super().__init__(stages, WIDTH, pretrained={}, clips=True, size=SIDE)

    def steps(self, frames: int) -> int:
        """Return a quarter of the frames."""
        if frames < STRIDE:
            raise UserError(
                f"network.backbone = 'c3d64' halves the frames twice and needs {STRIDE} or more, "
                f"and data.frames is {frames}; raise it to 20 as its authors have, or choose "
                "another backbone"
            )
        return frames // STRIDE


def c3d64() -> Backbone:
    """Build C3D-64: 64 channels; the 3D network of ARN, to train from scratch."""
    return C3D64()


def _block(channels: int, *, bias: bool, pool: bool) -> nn.Sequential:
    convolution = nn.Conv3d(channels, WIDTH, 3, padding=1, bias=bias)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    layers = [convolution, nn.BatchNorm3d(WIDTH), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *([nn.MaxPool3d(2)] if pool else []))
