import pytest
import torch

from tasd import recipes
from tasd.backbones.temporal import TemporalEncoder, positions
from tasd.errors import UserError
from tasd.model import build_model
from tasd.recipes.settings import replace
from tasd.runs.zero_weights import ZeroWeights


def config(*settings):
    base = [("network.backbone", "resnet18"), ("network.weights", "none"), ("data.crop", 64)]
    return replace(recipes.make("tasd", dataset="folder", shot=1), [*base, *settings])


def pixels(videos: int = 2) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    shape = (videos, 8, 64, 64, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)


@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_a_video_has_maps_and_one_feature_a_frame(precision):
    model = build_model(config(("training.precision", precision)), classes=3).eval()
    with torch.no_grad():
        features = model(pixels())
    assert features.frames.shape == (2, 8, 512)
    assert features.frames.dtype == torch.float32
    assert features.maps.shape == (2, 512, 8, 2, 2)
    assert features.maps.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)


def test_depth_zero_is_the_plain_backbone():
    model = build_model(
        config(("network.depth", 0), ("training.precision", "float32")), classes=3
    ).eval()
    with torch.no_grad():
        features = model(pixels())
    torch.testing.assert_close(features.frames, features.maps.mean((3, 4)).transpose(1, 2))


def test_what_is_said_of_a_video_does_not_depend_on_its_company():
    model = build_model(config(("training.precision", "float32")), classes=3).eval()
    videos = pixels(3)
    with torch.no_grad():
        together, alone = model(videos), model(videos[1:2])
    torch.testing.assert_close(together.frames[1:2], alone.frames, rtol=1e-4, atol=1e-4)


def test_pixels_are_normalised_by_the_weights_own_constants():
    model = build_model(config(), classes=3)
    torch.testing.assert_close(model.mean, 255 * torch.tensor([0.485, 0.456, 0.406]))
    video = build_model(
        config(("network.backbone", "r2plus1d_18")),
        classes=3,
    )
    assert "mean" in video.state_dict(), "a checkpoint must carry them"


def test_the_encoder_knows_the_order_of_frames_and_starts_near_the_identity():
    torch.manual_seed(0)
    encoder = TemporalEncoder(64, depth=2, heads=8, feedforward=128, dropout=0.1).eval()
    tokens = torch.randn(2, 8, 64)
    with torch.no_grad():
        forward, backward = encoder(tokens), encoder(tokens.flip(1)).flip(1)
        plain = torch.nn.functional.layer_norm(tokens, (64,))
    assert not torch.allclose(forward, backward, atol=1e-3)
    cosine = torch.cosine_similarity(forward, plain, dim=-1)
    assert cosine.min() > 0.9


def test_the_position_is_a_tenth_of_the_tokens_norm_whatever_their_scale():
    encoder = TemporalEncoder(64, depth=1, heads=8, feedforward=64, dropout=0.0).eval()
    tokens = torch.randn(1, 8, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            encoder.positioned(tokens) * 1e3, encoder.positioned(tokens * 1e3), rtol=1e-4, atol=1e-3
        )
        added = encoder.positioned(tokens) - tokens
    norm = tokens.norm(dim=-1).mean()
    torch.testing.assert_close(added.norm(dim=-1), (0.1 * norm).expand(1, 8), rtol=1e-4, atol=1e-4)
    assert positions(8, 64)[0, 1::2].gt(0).all()


@pytest.mark.parametrize("backbone", ["resnet8", "efficientnet_lite0", "timm/resnet10t.c3_in1k"])
def test_a_network_that_a_file_fills_takes_no_random_numbers(backbone):
    own = config(("network.backbone", backbone), ("network.depth", 1), ("matcher.name", "hyrsm"))
    torch.manual_seed(0)
    first = build_model(own, classes=5)
    before = torch.get_rng_state()
    with ZeroWeights():
        second = build_model(own, classes=5)
    assert torch.equal(torch.get_rng_state(), before)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        one, other = (network.eval()(pixels()).frames for network in (first, second))
    assert torch.equal(one, other)


def test_heads_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(UserError, match=r"network\.heads = 7 does not divide the 512 channels"):
        build_model(config(("network.heads", 7)), classes=3)


def test_weights_that_have_seen_the_test_classes_are_refused_unless_accepted(tmp_path):
    settings = [("network.backbone", "r2plus1d_18"), ("network.weights", "kinetics400")]
    kinetics = replace(recipes.make("tasd", dataset="kinetics", shot=1), settings)
    with pytest.raises(UserError, match="--allow-pretrained-overlap"):
        build_model(kinetics, classes=3)


def test_the_fixed_projection_of_the_text_has_a_row_for_every_position():
    model = build_model(config(("distill.projection", "fixed")), classes=3).eval()
    with torch.no_grad():
        maps = model(pixels()).maps
        assert model.relate(maps).shape == (16, 512, 2, 2)
    assert model.relation.assignment.matrix.shape == (4, 32)
