"""Weights of timm's models: a file, the hub's cache, the hub itself (a local server)."""

import hashlib
import http.server
import threading

import pytest
import torch
from safetensors.torch import save_file

from tasd import backbones
from tasd.backbones import weights
from tasd.errors import UserError

timm = pytest.importorskip("timm")
hub = pytest.importorskip("huggingface_hub")
NAME = "timm/test_vit.r160_in1k"
PLACE = "/timm/test_vit.r160_in1k/resolve/main/model.safetensors"


def written(path, **options):
    """The model of timm with its classifier, and its weights in a file."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = timm.create_model("test_vit", **options).eval()
    state = model.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return model


class Hub(http.server.BaseHTTPRequestHandler):
    """Answer like the hub for one file."""

    content, asked = b"", []

    def _answer(self):
        self.asked.append((self.command, self.path))
        if self.path != PLACE:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.content)

    do_GET = do_HEAD = _answer

    def log_message(self, *args):
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and no hub."""
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def served(cache, monkeypatch):
    """A local server with the weights of `NAME`; the model that they are of."""
    model = written(cache / "served.safetensors")
    monkeypatch.setattr(Hub, "content", (cache / "served.safetensors").read_bytes())
    monkeypatch.setattr(Hub, "asked", [])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield model
    server.shutdown()
    server.server_close()
    thread.join()


def assert_of(backbone, model):
    frames = torch.randn(1, 1, 3, 160, 160)
    with torch.no_grad():
        found = model.forward_features(frames[0])
        torch.testing.assert_close(backbone.eval()(frames)[0].flatten(1).T, found[0, 1:])


def test_the_hub_is_asked_once_and_then_the_cache_answers(served, monkeypatch):
    backbone = backbones.build(NAME)
    assert not weights.at_hand(backbone, "pretrained")
    pixels = weights.load(backbone, "pretrained")
    assert pixels == backbone.described.pixels
    assert_of(backbone, served)
    assert ("GET", PLACE) in Hub.asked
    assert weights.at_hand(backbone, "pretrained")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody there any more
    again = backbones.build(NAME)
    weights.load(again, "pretrained")
    assert_of(again, served)


def test_a_hub_that_does_not_answer_is_one_line_without_retries(cache, monkeypatch):
    """The hub's own client would try again for many seconds: it is not called."""
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_, **__: pytest.fail("it was called"))
    with pytest.raises(UserError, match=r"cannot download .*test_vit.*--weights FILE") as error:
        weights.load(backbones.build(NAME), "pretrained")
    assert PLACE in str(error.value)
    assert "\n" not in str(error.value)


def test_a_repository_without_the_file_is_one_line(served):
    with pytest.raises(UserError, match=r"timm/test_vit2\S* has no file model.safetensors or") as e:
        weights.load(backbones.build("timm/test_vit2.r160_in1k"), "pretrained")
    assert "\n" not in str(e.value)


def test_offline_says_so(cache, monkeypatch):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        weights.load(backbones.build(NAME), "pretrained")


@pytest.mark.parametrize("file", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("classes", [1000, 0])
def test_a_file_of_timm_loads_with_and_without_its_classifier(tmp_path, file, classes):
    model = written(tmp_path / file, num_classes=classes)
    backbone = backbones.build(NAME)
    weights.load(backbone, str(tmp_path / file))
    assert_of(backbone, model)


def test_position_embeddings_of_another_size_are_resampled_as_timm_does(tmp_path):
    model = written(tmp_path / "w.pth", img_size=96)
    backbone = backbones.build(NAME)
    weights.load(backbone, str(tmp_path / "w.pth"))
    own = timm.create_model("test_vit", num_classes=0)
    assert backbone.network.pos_embed.shape == own.pos_embed.shape != model.pos_embed.shape
    assert torch.equal(backbone.network.blocks[0].mlp.fc1.weight, model.blocks[0].mlp.fc1.weight)


def test_a_file_that_lacks_a_tensor_is_refused_and_not_filled_at_random(tmp_path):
    state = written(tmp_path / "w.pth", img_size=96).state_dict()
    del state["blocks.1.mlp.fc1.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"does not fit the backbone: 1 of its \d+") as error:
        weights.load(backbones.build(NAME), str(tmp_path / "w.pth"))
    assert "\n" not in str(error.value)


def test_a_file_of_another_model_and_an_unknown_name_are_one_line(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    for source, message in ((str(tmp_path / "w.pth"), "does not fit"), ("no.pth", "no such file")):
        with pytest.raises(UserError, match=message) as error:
            weights.load(backbones.build(NAME), source)
        assert "\n" not in str(error.value)
