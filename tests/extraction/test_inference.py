"""Folded networks give the features of the networks that they are copies of."""

import pytest
import torch
from torch import nn

from tasd import backbones
from tasd.backbones.base import Backbone
from tasd.backbones.temporal import TemporalEncoder
from tasd.extraction.inference import PIXELS, folded, folds, inference_copy
from tasd.matchers import build
from tasd.model import Model
from tasd.types import Features

NAMES = ["resnet8", "resnet18", "resnet50", "mobilenet_v2", "r2plus1d_18", "c3d64"]


def alive(backbone: Backbone) -> Backbone:
    """Give every batch norm statistics and weights that change its input."""
    torch.manual_seed(3)
    for module in norms(backbone):
        nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.normal_(module.bias, std=0.1)
        module.running_mean.normal_(std=0.1)
        module.running_var.uniform_(0.5, 1.5)
    return backbone.eval()


def norms(module: nn.Module) -> list[nn.Module]:
    return [each for each in module.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]


def model_of(backbone: Backbone, **options) -> Model:
    encoder = TemporalEncoder(backbone.channels, depth=1, heads=8, feedforward=32, dropout=0.1)
    options = {"precision": "float32", "matcher": "bimhm"} | options
    matcher = build(options.pop("matcher"), backbone.channels, classes=3, frames=8)
    return Model(backbone, encoder, matcher, **options).eval()


def pixels(videos: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (videos, 8, 64, 64, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", [name for name in NAMES if name in backbones.BACKBONES])
@torch.inference_mode()
def test_folded_features_are_those_of_the_network(name: str):
    model = model_of(alive(backbones.build(name, channels=None)))
    swift = inference_copy(model)
    assert not norms(swift.backbone)
    assert norms(model.backbone)
    ours, expected = swift(pixels()), model(pixels())
    for mine, theirs in ((ours.frames, expected.frames), (ours.maps, expected.maps)):
        assert mine.shape == theirs.shape
        assert (mine - theirs).abs().max() <= 1e-4 * theirs.abs().max()


@torch.inference_mode()
def test_the_maps_of_several_stages_are_those_of_the_network():
    model = model_of(alive(backbones.build("resnet8", channels=None)), matcher="chamfer")
    swift = inference_copy(model)
    mine, theirs = (network(pixels(), levels=2).levels for network in (swift, model))
    assert len(mine) == len(theirs) == 2
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2", "resnet50"])
@torch.inference_mode()
def test_the_maps_of_a_clip_do_not_depend_on_the_clips_beside_it(name: str):
    swift = inference_copy(model_of(alive(backbones.build(name, channels=None))))
    clips = pixels(7)  # six at a time, and one more
    assert 6 * 8 * 64 * 64 <= PIXELS < 7 * 8 * 64 * 64
    together: Features = swift(clips)
    for clip in (0, 5, 6):
        alone: Features = swift(clips[clip : clip + 1])
        assert together.maps is not None
        assert alone.maps is not None
        assert torch.equal(together.maps[clip], alone.maps[0])


def test_a_network_in_training_or_in_bf16_stays_as_it_is():
    model = model_of(alive(backbones.build("resnet8", channels=None)))
    assert folds(model, "cpu")
    assert not folds(model, "cuda")
    assert inference_copy(model) is not model
    assert inference_copy(model.train()) is model
    half = model_of(alive(backbones.build("resnet8", channels=None)), precision="bf16")
    assert inference_copy(half) is half


class Twice(nn.Module):
    """A convolution whose output is read by a norm and beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y


class Branching(Twice):
    def forward(self, x):
        return self.norm(self.conv(x)) if x.sum() > 0 else x


@pytest.mark.parametrize("block", [Twice, Branching])
def test_a_norm_that_is_no_part_of_one_convolution_stays(block: type[nn.Module]):
    backbone = alive(Backbone([("block", block())], 3, pretrained={}))
    clips = torch.rand(1, 2, 3, 8, 8)
    assert len(norms(folded(backbone))) == 1
    torch.testing.assert_close(folded(backbone)(clips), backbone(clips))
