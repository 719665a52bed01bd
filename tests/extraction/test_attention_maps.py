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
