"""The maps of the backbone's last stages, for matchers that read several."""

import copy
from dataclasses import fields

import pytest
import torch
from torch import nn

from tasd import backbones, recipes
from tasd.backbones.base import Backbone, _named_blocks
from tasd.errors import UserError
from tasd.model import build_model
from tasd.recipes.settings import replace

CHANNELS = {
    "resnet8": (64, 128, 256),
    "resnet18": (64, 128, 256, 512),
    "resnet34": (64, 128, 256, 512),
    "resnet50": (256, 512, 1024, 2048),
    "mobilenet_v2": (24, 32, 96, 1280),
    "efficientnet_lite0": (24, 40, 112, 1280),
    "efficientnet_lite2": (24, 48, 120, 1280),
}


def by_stride(backbone: Backbone, frames: torch.Tensor) -> list[torch.Tensor]:
    """Return the output of the last block at stride 4, 8, 16 ..., seen by hooks."""
    last: dict[int, torch.Tensor] = {}
    hooks = []

    def keep(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        last[frames.shape[-1] // output.shape[-1]] = output.clone()

    for name in backbone.stages:
        for _, block in _named_blocks(name, getattr(backbone, name)):
            hooks.append(block.register_forward_hook(keep))
    backbone(frames)
    for hook in hooks:
        hook.remove()
    return [maps for stride, maps in sorted(last.items()) if stride >= 4]


@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_levels_are_the_last_maps_at_each_stride_from_four_on(name):
    torch.manual_seed(0)
    backbone = backbones.build(name).eval()
    if name not in CHANNELS:
        assert backbone.level_channels == (backbone.channels,)
        return
    assert backbone.level_channels == CHANNELS[name]
    frames = torch.randn(1, 2, 3, 64, 64)
    with torch.no_grad():
        levels = backbone.levels(frames, count=len(CHANNELS[name]))
        expected = by_stride(backbone, frames)
        two = backbone.levels(frames, count=2)
        whole = backbone(frames)
    assert len(levels) == len(expected)
    for ours, maps in zip(levels, expected, strict=True):
        assert torch.equal(ours, maps.unflatten(0, (1, 2)).transpose(1, 2))
    assert torch.equal(levels[-1], whole)
    assert torch.equal(two[0], levels[-2])
    assert len(two) == 2


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2"])
def test_gradient_checkpointing_changes_no_level_and_no_gradient(name, frozen):
    torch.manual_seed(0)
    plain = backbones.build(name)
    plain.batchnorm_frozen = frozen
    saving = copy.deepcopy(plain)
    saving.gradient_checkpointing = True
    frames, count = torch.randn(2, 2, 3, 32, 32), len(plain.level_channels)
    found = []
    for backbone in (plain.train(), saving.train()):
        torch.manual_seed(1)
        levels = backbone.levels(frames, count=count)
        torch.stack([maps.square().mean() for maps in levels]).sum().backward()
        found.append((levels, [p.grad for p in backbone.parameters()], list(backbone.buffers())))
    for one, other in zip(*found, strict=True):
        for left, right in zip(one, other, strict=True):
            torch.testing.assert_close(left, right)


def config(matcher: str, *settings):
    base = [
        ("network.backbone", "resnet8"),
        ("network.weights", "none"),
        ("data.crop", 32),
        ("training.precision", "float32"),
    ]
    made = recipes.for_matcher(matcher, dataset="folder", shot=1)
    return replace(made, [*base, *settings])


def test_a_network_gives_levels_only_when_it_is_asked():
    model = build_model(config("sloshnet"), classes=2).eval()
    clips = torch.randint(0, 256, (2, 3, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        plain, asked, condensed = model(clips), model(clips, levels=3), model.condensed(clips)
    assert plain.levels == ()
    assert [maps.shape[1] for maps in asked.levels] == [64, 128, 256]
    assert asked.levels[-1] is asked.maps
    assert torch.equal(asked.frames, plain.frames)
    assert condensed.levels == ()
    assert condensed.frames.shape == plain.frames.shape
    assert not torch.allclose(condensed.frames, plain.frames)


def test_a_matcher_without_levels_leaves_the_features_alone():
    model = build_model(config("trx"), classes=2).eval()
    clips = torch.randint(0, 256, (1, 3, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        plain, condensed = model(clips), model.condensed(clips)
    for part in fields(plain):
        one, other = getattr(plain, part.name), getattr(condensed, part.name)
        assert one is other or torch.equal(one, other)


@pytest.mark.parametrize("backbone", ["r2plus1d_18", "timm/resnet10t"])
def test_a_backbone_of_one_map_is_refused_for_a_matcher_of_several(backbone):
    with pytest.raises(UserError) as error:
        build_model(config("sloshnet", ("network.backbone", backbone)), classes=2)
    said = str(error.value)
    assert "--matcher sloshnet reads the maps of the backbone's last 4 stages" in said
    assert f"--backbone {backbone} gives the last one alone; choose one of resnet8, " in said
    assert "\n" not in said


def test_the_temporal_half_runs_on_a_backbone_of_one_map():
    made = config("sloshnet-temporal", ("network.backbone", "r2plus1d_18"))
    model = build_model(made, classes=2).eval()
    clips = torch.randint(0, 256, (1, 3, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert model.condensed(clips).frames.shape == (1, 3, 512)


@pytest.mark.parametrize("matcher", ["sloshnet", "sloshnet-temporal"])
def test_cached_features_are_refused_for_a_matcher_of_levels(matcher):
    cached = [("network.backbone", "features"), ("network.channels", 64)]
    with pytest.raises(UserError, match="--features trains on pooled features"):
        build_model(config(matcher, *cached), classes=2)
