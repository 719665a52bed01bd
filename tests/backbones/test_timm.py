"""The contract of timm's models as backbones, with random weights and without a network."""

import copy

import pytest
import torch
from torch import nn

from tasd import backbones
from tasd.backbones import weights
from tasd.backbones.timm_models import describe
from tasd.errors import UserError

timm = pytest.importorskip("timm")
CROP = 112
# Name: channels of A, side of the map of 112 pixels, size of the weights, tokens before patches.
MODELS = {
    "timm/resnet18.a1_in1k": (512, 4, 224, 0),
    "timm/convnext_atto.d2_in1k": (320, 3, 224, 0),
    "timm/efficientnet_b0.ra_in1k": (1280, 4, 224, 0),
    "timm/vit_tiny_patch16_224.augreg_in21k": (192, 7, 224, 1),
    "timm/vit_base_patch16_clip_224.openai": (768, 7, 224, 1),
    "timm/vit_small_patch14_reg4_dinov2.lvd142m": (384, 8, 518, 5),
    "timm/vit_base_patch16_siglip_224.webli": (768, 7, 224, 0),
    "timm/swin_tiny_patch4_window7_224.ms_in1k": (768, 4, 224, 0),
}
SMALL = ["timm/resnet18.a1_in1k", "timm/vit_tiny_patch16_224.augreg_in21k"]


DEEP = ("clip_224", "siglip_224")  # 12 blocks of 768 channels: two of them say as much


@pytest.fixture(scope="module", params=MODELS)
def backbone(request):
    create = timm.create_model

    def fewer_blocks(name: str, **options):
        depth = {"depth": 2} if any(word in name for word in DEEP) else {}
        return create(name, **depth, **options)

    describe.cache_clear()
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(timm, "create_model", fewer_blocks)
        torch.manual_seed(0)
        yield backbones.build(request.param).eval()
    describe.cache_clear()


def clips(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, 3, CROP, CROP, generator=torch.Generator().manual_seed(1))


def test_shapes_are_those_that_it_describes(backbone):
    channels, side, size, prefix = MODELS[backbone.name]
    with torch.no_grad():
        out = backbone.pooled(clips(2, 2))
    assert (backbone.channels, backbone.size) == (channels, size)
    assert backbone.described.prefix == prefix
    assert out.maps.shape == (2, channels, 2, side, side)
    assert out.frames.shape == (2, 2, channels)
    assert out.maps.isfinite().all()
    assert out.frames.isfinite().all()
    classifier = backbone.network.pretrained_cfg["classifier"]
    assert f"network.{classifier}.weight" not in backbone.state_dict()


def test_maps_and_pooled_frames_are_timms_own(backbone):
    frames, (_, side, _, prefix) = clips(1, 2), MODELS[backbone.name]
    with torch.no_grad():
        out = backbone.pooled(frames)
        assert torch.equal(out.maps, backbone(frames))
        found = backbone.network.forward_features(frames[0])
        pooled = backbone.network.forward_head(found, pre_logits=True)
    assert torch.equal(out.frames[0], pooled)
    for row in range(side):
        for column in range(side):
            if found.ndim == 3:
                own = found[:, prefix + row * side + column]
            elif backbone.described.layout == "NHWC":
                own = found[:, row, column]
            else:
                own = found[:, :, row, column]
            assert torch.equal(out.maps[0, :, :, row, column].T, own)


def test_a_frame_does_not_depend_on_the_others(backbone):
    frames = clips(2, 2)
    with torch.no_grad():
        together, alone = backbone.pooled(frames), backbone.pooled(frames[1:, 1:])
    for one, other in (
        (together.maps[1:, :, 1:], alone.maps),
        (together.frames[1:, 1:], alone.frames),
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_gradients_reach_every_parameter_that_the_pooled_frames_need(backbone):
    network = copy.deepcopy(backbone).train()
    network.batchnorm_frozen = True
    network.train()
    out = network.pooled(clips(1, 1))
    (out.frames.square().mean() + out.maps.square().mean()).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_checkpointing_changes_no_gradient(backbone):
    plain = copy.deepcopy(backbone)
    plain.batchnorm_frozen = True
    checkpointed = copy.deepcopy(plain)
    checkpointed.gradient_checkpointing = True
    for network in (plain.train(), checkpointed.train()):
        torch.manual_seed(2)  # some models drop whole branches
        network.pooled(clips(1, 1)).frames.square().mean().backward()
    assert getattr(checkpointed.network, "grad_checkpointing", True)
    for (name, one), other in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, msg=name)


def test_bf16_gives_nearly_the_same(backbone):
    frames = clips(1, 1)
    with torch.no_grad():
        exact = backbone.pooled(frames).frames
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = backbone.pooled(frames).frames
    assert half.dtype == torch.float32
    assert torch.cosine_similarity(exact, half, dim=-1).min() > 0.98


def test_the_depths_order_every_parameter(backbone):
    depths = backbone.depths()
    assert depths.keys() == dict(backbone.named_parameters()).keys()
    assert set(depths.values()) == set(range(max(depths.values()) + 1))
    first = next(
        n for n, _ in backbone.named_parameters() if "conv" in n or "proj" in n or "stem" in n
    )
    assert depths[first] == 0


def test_a_saved_state_and_timms_own_file_load_alike(backbone, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        other = backbones.build(backbone.name)
    tensors = {k.removeprefix("network."): v for k, v in backbone.state_dict().items()}
    torch.save(tensors, tmp_path / "timm.pth")
    pixels = weights.load(other, str(tmp_path / "timm.pth"))
    assert pixels == backbone.described.pixels
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_mean_pooling_is_the_mean_of_the_map():
    vit = backbones.build(SMALL[1]).eval()
    frames = clips(1, 1)
    with torch.no_grad():
        own = vit.pooled(frames)
        vit.own_pooling = False
        mean = vit.pooled(frames)
    torch.testing.assert_close(mean.frames[0, 0], own.maps.mean((3, 4))[0, :, 0])
    assert not torch.allclose(mean.frames, own.frames, atol=1e-2)


@pytest.mark.parametrize("frozen", [True, False])
def test_batchnorm_of_timm_is_frozen_like_our_own(frozen):
    network = backbones.build("timm/efficientnet_b0")
    network.batchnorm_frozen = frozen
    network.train()
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [norm.running_mean.clone() for norm in norms]
    network(clips(1, 2))
    assert len(norms) > 40
    for norm, mean in zip(norms, before, strict=True):
        assert torch.equal(mean, norm.running_mean) == frozen


def test_live_batchnorm_and_checkpointing_exclude_one_another():
    network = backbones.build("timm/resnet18")
    network.gradient_checkpointing = True
    with pytest.raises(UserError, match=r"needs frozen BatchNorm in timm/resnet18"):
        network.train()


def test_a_description_takes_no_memory_and_no_random_number():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    described = backbones.described("timm/resnet26.bt_in1k")
    assert all(parameter.is_meta for parameter in described.parameters())
    describe.cache_clear()
    torch.manual_seed(3)
    describe("timm/resnet26.bt_in1k")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/resnet18.nonsense", r"no model 'resnet18\.nonsense'; the nearest: timm/resnet18\."),
        ("timm/vit_bass_patch16_224", "the nearest: timm/vit_base_patch16_224"),
        ("timm/hf-hub:someone/model", "has no model"),
        ("timm/pit_ti_224", r"gives no feature map: it has an output of shape \(1, 256\)"),
        ("timm/crossvit_tiny_240", "gives no feature map: it has several outputs"),
        ("timm", "there are: resnet8, .*timm/NAME"),
    ],
)
def test_a_wrong_name_is_one_line(name, message):
    with pytest.raises(UserError, match=message) as error:
        backbones.build(name)
    assert "\n" not in str(error.value)


def test_a_crop_that_a_model_cannot_read_is_one_line():
    vit = backbones.described("timm/vit_tiny_patch16_224")
    vit.check_crop(96)
    with pytest.raises(UserError, match=r"a crop of 100 pixels .*divisible.* data\.crop to 224"):
        vit.check_crop(100)
    with pytest.raises(UserError, match=r"a crop of 112 pixels .*match model .* data\.crop to 224"):
        backbones.described("timm/beit_base_patch16_224").check_crop(112)


def test_a_model_whose_size_the_patches_do_not_divide_reads_its_own_size():
    described = backbones.described("timm/vit_so400m_patch14_siglip_gap_384")
    assert described.size == 384
    assert (
        described.described.options == {"strict_img_size": False} or not described.described.options
    )


def test_without_timm_the_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UserError, match=r"pip install 'tasd\[timm\]'"):
        backbones.build("timm/resnet18")


def test_only_a_name_of_kinetics_has_seen_it(monkeypatch):
    vit = backbones.described(SMALL[1])
    assert not weights.saw_tests(vit, "pretrained", dataset="kinetics")
    vit.name = "timm/vit_tiny.k400"
    assert weights.saw_tests(vit, "pretrained", dataset="kinetics")
    assert not weights.saw_tests(vit, "none", dataset="kinetics")
    assert not weights.saw_tests(vit, "pretrained", dataset="ucf101")
