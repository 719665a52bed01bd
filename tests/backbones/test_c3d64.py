"""C3D-64 against numpy, and what it asks of the frames."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tasd import backbones
from tasd.errors import UserError
from tasd.model import build_model
from tests.matchers import numpy_layers as plain
from tests.runs import small_config


@pytest.fixture
def network() -> backbones.Backbone:
    torch.manual_seed(0)
    network = backbones.build("c3d64").double().eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm3d):
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.5, 1.5)
    return network


def oracle(network: backbones.Backbone, clip: np.ndarray) -> np.ndarray:
    """Convolve (3, time, rows, columns) four times; the first two are pooled by 2."""
    inner = clip
    for number in range(1, 5):
        stage = getattr(network, f"conv{number}")
        inner = plain.block(stage[0], stage[1], inner)
        if number < 3:
            inner = plain.max_pooled(inner, 2, 2, 2)
    return inner


def test_the_map_is_that_of_four_convolutions(network):
    clip = torch.randn(1, 9, 3, 12, 8, dtype=torch.float64)
    expected = oracle(network, clip[0].transpose(0, 1).numpy())
    ours = network(clip)
    assert ours.shape == (1, 64, 2, 3, 2)
    np.testing.assert_allclose(ours[0].detach().numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("wrong", [nn.AvgPool3d(2), nn.Identity()])
def test_a_wrong_pool_is_seen(network, wrong):
    broken = copy.deepcopy(network)
    broken.conv2[3] = wrong
    clip = torch.randn(1, 9, 3, 12, 8, dtype=torch.float64)
    ours = broken(clip)[0].detach().numpy()
    expected = oracle(network, clip[0].transpose(0, 1).numpy())
    assert ours.shape != expected.shape or not np.allclose(ours, expected)


def test_twenty_frames_of_128_pixels_make_five_steps_of_32_by_32():
    with torch.no_grad():
        assert backbones.build("c3d64")(torch.zeros(1, 20, 3, 128, 128)).shape == (1, 64, 5, 32, 32)


def test_it_begins_as_its_ancestor():
    network = backbones.build("c3d64")
    assert network.conv1[0].bias is None
    for number, channels in ((1, 3), (2, 64), (3, 64), (4, 64)):
        convolution = getattr(network, f"conv{number}")[0]
        assert convolution.weight.shape == (64, channels, 3, 3, 3)
        deviation = float(convolution.weight.detach().std())
        assert deviation == pytest.approx((2 / (27 * 64)) ** 0.5, rel=0.05)
        assert number == 1 or not convolution.bias.any()


def test_too_few_frames_are_refused_and_a_matcher_is_told_the_steps():
    few = small_config(("network.backbone", "c3d64"), ("data.frames", 3))
    with pytest.raises(UserError, match="'c3d64' halves the frames twice and needs 4 or more"):
        build_model(few, classes=4)
    short = small_config(("network.backbone", "c3d64"), ("data.frames", 8), ("matcher.name", "trx"))
    with pytest.raises(UserError, match=r"needs videos of 3 frames or more, and the backbone .* 2"):
        build_model(short, classes=4)


def test_all_of_the_distillation_fits_it():
    fixed = ("distill.projection", "fixed")
    settings = small_config(
        ("network.backbone", "c3d64"), ("data.frames", 8), ("distill.states", 8), fixed
    )
    model = build_model(settings, classes=4)
    seen = model(torch.zeros(2, 8, 32, 32, 3, dtype=torch.uint8))
    assert seen.frames.shape == (2, 2, 64)
    assert model.relate(seen.maps).shape == (4, 64, 8, 8)
