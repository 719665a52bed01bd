"""Attention maps of a video, and the network that they are computed with."""

import pytest
import torch

from tasd.extraction.attention import attention
from tasd.model import build_model
from tests.runs import small_config


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_attention_leaves_the_networks_precision_as_it_was(precision):
    model = build_model(small_config(), classes=4).eval()
    model.precision = precision
    frames = torch.randint(0, 256, (1, 2, 64, 64, 3), dtype=torch.uint8)
    found = attention(model, frames, label="student")
    assert model.precision == precision
    for maps in (found.video, found.frames):
        assert maps.dtype == torch.float32
        assert (float(maps.min()), float(maps.max())) == (0, 1)


def test_a_network_that_shortens_time_has_a_map_for_every_frame():
    settings = small_config(("network.backbone", "c3d64"), ("data.frames", 8), ("data.crop", 32))
    model = build_model(settings, classes=4).eval()
    frames = torch.randint(0, 256, (1, 9, 32, 32, 3), dtype=torch.uint8)
    found = attention(model, frames, label="student").frames
    assert len(found) == 9
    assert torch.equal(found[0], found[4])
    assert torch.equal(found[5], found[8])
    assert not torch.equal(found[4], found[5])
