import copy
import http.server
import threading

import pytest
import torch
from torch import nn
from torchvision import models

from tasd import backbones
from tasd.backbones import weights
from tasd.errors import UserError

CHANNELS = {
    "resnet8": 256,
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "mobilenet_v2": 1280,
    "efficientnet_lite0": 1280,
    "efficientnet_lite2": 1280,
    "r2plus1d_18": 512,
    "c3d64": 64,
}
SIZES = {"efficientnet_lite2": 260, "r2plus1d_18": 112, "c3d64": 128}
SIDES = {"r2plus1d_18": 4, "resnet8": 4, "c3d64": 16}  # of the map of 64 pixels; others 2


def test_every_backbone_is_looked_at():
    assert {*CHANNELS, "tiny"} == {*backbones.BACKBONES}


@pytest.mark.parametrize("name", CHANNELS)
def test_a_map_has_the_steps_and_the_channels_it_says(name):
    backbone = backbones.build(name).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(2, 8, 3, 64, 64))
    side, steps = SIDES.get(name, 2), backbone.steps(8)
    assert steps == (2 if name == "c3d64" else 8)
    assert backbone.channels == CHANNELS[name]
    assert backbone.size == SIZES.get(name, 224)
    assert maps.shape == (2, CHANNELS[name], steps, side, side)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_lite0"])
def test_frames_are_looked_at_one_by_one(name):
    backbone = backbones.build(name).eval()
    clips = torch.randn(2, 3, 3, 64, 64)
    with torch.no_grad():
        together, alone = backbone(clips), backbone(clips[1:, 2:])
    torch.testing.assert_close(together[1:, :, 2:], alone, rtol=1e-4, atol=1e-5)


def test_the_maps_are_torchvisions(tmp_path):
    network = models.resnet18().eval()
    path = tmp_path / "resnet18.pth"
    torch.save(network.state_dict(), path)
    backbone = backbones.build("resnet18").eval()
    weights.load(backbone, str(path))
    frames = torch.randn(1, 2, 3, 64, 64)
    with torch.no_grad():
        pooled = backbone(frames).mean((3, 4)).transpose(1, 2)
        torch.testing.assert_close(network.fc(pooled)[0], network(frames[0]), rtol=1e-4, atol=1e-5)


def test_a_3d_backbone_sees_motion():
    backbone = backbones.build("r2plus1d_18").eval()
    clips = torch.randn(1, 4, 3, 32, 32)
    changed = clips.clone()
    changed[:, 3] = 0
    with torch.no_grad():
        assert not torch.allclose(backbone(clips)[:, :, 2], backbone(changed)[:, :, 2])


def test_the_shared_mobilenet_is_an_imagenet_network_and_only_to_be_used_frozen(shared):
    path = str(shared / "weights" / "mobilenet_v2_imagenet.pth")
    backbone = backbones.build("mobilenet_v2")
    pixels = weights.load(backbone, path)
    assert pixels.mean == (0.485, 0.456, 0.406)
    with pytest.raises(UserError, match=r"folded.*'auto' or 'frozen'"):
        weights.load(backbones.build("mobilenet_v2"), path, batchnorm="live")


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_frozen_statistics_stay_and_live_ones_move(name):
    for frozen in (True, False):
        backbone = backbones.build(name)
        backbone.batchnorm_frozen = frozen
        backbone.train()
        norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
        before = [norm.running_mean.clone() for norm in norms]
        backbone(torch.randn(1, 2, 3, 64, 64))
        for norm, mean in zip(norms, before, strict=True):
            assert torch.equal(mean, norm.running_mean) == frozen
        backbone.eval().train()
        assert all(norm.training != frozen for norm in norms)


@pytest.mark.parametrize(
    ("source", "batchnorm", "frozen"),
    [("none", "auto", False), ("file", "auto", True), ("file", "live", False)],
)
def test_batchnorm_is_frozen_with_pretrained_weights_alone(source, batchnorm, frozen):
    assert weights.frozen(source, batchnorm) == frozen


def test_random_frozen_statistics_are_refused():
    with pytest.raises(UserError, match="would never learn its statistics"):
        weights.frozen("none", "frozen")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_lite0", "r2plus1d_18"])
@pytest.mark.parametrize("frozen", [True, False])
def test_gradient_checkpointing_changes_no_gradient_and_no_statistic(name, frozen):
    torch.manual_seed(0)
    plain = backbones.build(name)
    plain.batchnorm_frozen = frozen
    plain.train()
    checkpointed = copy.deepcopy(plain)
    checkpointed.gradient_checkpointing = True
    clips = torch.randn(2, 2, 3, 32, 32)
    for backbone in (plain, checkpointed):
        for _ in range(2):  # the second pass reads the statistics that the first left
            backbone(clips).square().mean().backward()
    for (place, one), other in zip(
        plain.named_parameters(), checkpointed.parameters(), strict=True
    ):
        torch.testing.assert_close(other.grad, one.grad, msg=place)
    for (place, one), other in zip(plain.named_buffers(), checkpointed.buffers(), strict=True):
        assert torch.equal(one, other), place
    counts = {int(v) for n, v in plain.named_buffers() if n.endswith("num_batches_tracked")}
    assert counts == {0 if frozen else 2}


def test_wrong_weights_are_one_clear_line(tmp_path):
    backbone = backbones.build("resnet18")
    with pytest.raises(UserError, match=r"no such file.*imagenet, none"):
        weights.load(backbone, str(tmp_path / "missing.pth"))
    other = tmp_path / "other.pth"
    torch.save(models.mobilenet_v2().state_dict(), other)
    with pytest.raises(UserError, match="does not fit the backbone: 100 of its 120 tensors"):
        weights.load(backbone, str(other))
    text = tmp_path / "text.pth"
    text.write_text("no tensors")
    with pytest.raises(UserError, match="cannot be read as a state dict"):
        weights.load(backbone, str(text))
    state = models.resnet18().state_dict()
    state["conv1.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, other)
    with pytest.raises(UserError, match=r"'conv1\.weight' holds values that are not finite"):
        weights.load(backbone, str(other))


class _Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    def log_message(self, *args):
        pass


def test_an_unreachable_download_names_the_file_to_fetch_and_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    server = http.server.HTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        backbone = backbones.build("resnet18")

        class Served:
            url = f"http://127.0.0.1:{server.server_port}/resnet18-f37072fd.pth"

            def get_state_dict(self, **options):
                return torch.hub.load_state_dict_from_url(self.url, **options)

        published = backbone.pretrained["imagenet"]
        backbone.pretrained = {"imagenet": type(published)(Served(), published.mean, published.std)}
        place = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
        with pytest.raises(UserError) as error:
            weights.load(backbone, "imagenet")
        assert Served.url in str(error.value)
        assert str(place) in str(error.value)
        assert "\n" not in str(error.value)
        assert not place.exists()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
