"""Examples come, move and go; support files hold them, and hostile files are refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tasd.errors import UserError
from tasd.predict import FewShotRecognizer
from tasd.predict import cache as cache_module


@pytest.fixture
def tiny(empty_home, resnet8_weights):
    return FewShotRecognizer("resnet8", weights=str(resnet8_weights), crop=32, device="cpu")


@pytest.fixture
def no_decoding(monkeypatch):
    def stop():
        def refused(trained, paths, *more, **options):
            assert not list(paths), "a clip is decoded again"
            return iter(())

        monkeypatch.setattr(cache_module, "clip_features", refused)

    return stop


def test_examples_learnt_one_by_one_answer_as_those_learnt_at_once(tiny, support, clips):
    query = [clips / "motion_jpeg.avi"]
    expected = tiny.fit(support).decision_function(query)
    one = FewShotRecognizer(**tiny.get_params())
    one.partial_fit([support / "waving" / "mpeg4.avi"], ["waving"])
    with pytest.raises(UserError, match=r"the support has 1 class \(waving\)"):
        one.predict(query)
    one.partial_fit([support / "jumping" / "h264_forty.mp4"], ["jumping"])
    one.partial_fit([support / "waving" / "vp9.webm"], ["waving"], classes=["waving", "jumping"])
    assert one.support_ == tiny.support_
    np.testing.assert_allclose(one.decision_function(query), expected, atol=1e-6)


def test_a_corrected_clip_moves_to_its_class(tiny, support):
    tiny.fit(support)
    tiny.partial_fit([support / "waving" / "vp9.webm"], ["jumping"])
    assert [len(of) for of in tiny.support_.values()] == [2, 1]


def test_classes_and_clips_are_forgotten_without_decoding(tiny, support, clips, no_decoding):
    tiny.partial_fit(support).partial_fit([clips / "motion_jpeg.avi"], ["sleeping"])
    no_decoding()
    tiny.forget(classes=["sleeping"])
    assert tiny.classes_.tolist() == ["jumping", "waving"]
    tiny.forget(clips=[support / "waving" / "vp9.webm"])
    assert [len(of) for of in tiny.support_.values()] == [1, 1]
    with pytest.raises(UserError, match=r"nowhere\.mp4 is no example"):
        tiny.forget(clips=["nowhere.mp4"])
    with pytest.raises(UserError, match="no class 'sleeping'; it has: jumping, waving"):
        tiny.forget(classes=["sleeping"])


def test_what_cannot_be_learnt_is_told(tiny, support, tmp_path):
    (tmp_path / "empty.mp4").touch()
    tiny.fit(support)
    with pytest.raises(UserError, match=r"no clip can be learnt .*empty\.mp4: the file is empty"):
        tiny.partial_fit([tmp_path / "empty.mp4"], ["waving"])
    assert sum(map(len, tiny.support_.values())) == 3
    with pytest.raises(UserError, match="class 'new' of y is not in classes"):
        tiny.partial_fit([tmp_path / "empty.mp4"], ["new"], classes=["waving"])


def test_suggestions_begin_with_the_smallest_margin(tiny, support, clips):
    tiny.fit(support)
    queries = sorted(clips.iterdir())
    found = tiny.suggest(queries, 3)
    margins = sorted(answer.margin for answer in tiny.answers(queries))
    assert [answer.margin for answer in found] == margins[:3]
    first = found[0]
    shares = sorted(first.probabilities.values())
    assert first.margin == pytest.approx(shares[-1] - shares[-2])
    with pytest.raises(UserError, match="ask for 1 or more"):
        tiny.suggest(queries, 0)


def test_the_nearest_clip_of_a_support_clip_is_itself(tiny, support):
    tiny.fit(support)
    for name, paths in tiny.support_.items():
        for answer in tiny.answers(paths):
            assert (answer.nearest.path, answer.nearest.class_name) == (answer.video, name)


def test_a_support_file_is_learnt_without_decoding(tiny, support, clips, tmp_path, no_decoding):
    query = [clips / "motion_jpeg.avi"]
    expected = tiny.fit(support).decision_function(query)
    path = tiny.save_support(tmp_path / "mine.safetensors")
    again = FewShotRecognizer(**tiny.get_params())
    again.cache = False
    assert again.fit(path).support_ == tiny.support_
    np.testing.assert_allclose(again.decision_function(query), expected, atol=1e-6)
    no_decoding()
    again.fit(path)
    again.set_params(matcher="otam").fit(path)  # another matcher, the same features
    with pytest.raises(UserError, match=r"come from the backbone resnet8 .* differ in: frames"):
        again.set_params(frames=4).fit(path)


def test_a_support_file_of_bare_features_needs_no_network(tmp_path):
    features = np.random.default_rng(0).normal(size=(6, 4, 5)).astype(np.float32)
    fitted = FewShotRecognizer(device="cpu").fit(features, list("ababab"))
    path = fitted.save_support(tmp_path / "bare.safetensors")
    again = FewShotRecognizer(device="cpu").fit(path)
    np.testing.assert_allclose(
        again.decision_function(features), fitted.decision_function(features), atol=1e-6
    )
    assert again.n_features_in_ == 5


HOSTILE = {
    "half": ({"frames": torch.zeros(2, 1, 4, dtype=torch.float16)}, {}, "is float16, not float32"),
    "flat": ({"frames": torch.zeros(2, 4)}, {}, r"has the shape \(2, 4\)"),
    "nan": ({"frames": torch.full((2, 1, 4), torch.nan)}, {}, "not finite"),
    "missing": ({"other": torch.zeros(2, 1, 4)}, {}, "holds no features"),
    "count": ({"frames": torch.zeros(3, 1, 4)}, {}, "2 clips, 2 classes"),
    "names": ({"frames": torch.zeros(2, 1, 4)}, {"classes": "[1, 2]"}, "no list of names"),
    "escape": ({"frames": torch.zeros(2, 1, 4)}, {"classes": '["a\\u001b[31m", "b"]'}, "no list"),
    "json": ({"frames": torch.zeros(2, 1, 4)}, {"clips": "["}, "clips cannot be read"),
    "deep": ({"frames": torch.zeros(2, 1, 4)}, {"clips": "[" * 100_000}, "clips cannot be read"),
    "origin": ({"frames": torch.zeros(2, 1, 4)}, {"origin": "{}"}, "which network"),
    "format": ({"frames": torch.zeros(2, 1, 4)}, {"format": "pt"}, "not a support file"),
    "version": ({"frames": torch.zeros(2, 1, 4)}, {"version": "9"}, "version '9'"),
    "maps": (
        {"frames": torch.zeros(2, 1, 4), "maps": torch.zeros(2, 3, 1, 2, 2)},
        {},
        "its maps and its features",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_support_file_is_one_line(name, tmp_path):
    tensors, changes, message = HOSTILE[name]
    metadata = {
        "format": "tasd-support",
        "version": "1",
        "clips": json.dumps(["1.mp4", "2.mp4"]),
        "classes": json.dumps(["a", "b"]),
        "origin": "null",
    }
    path = tmp_path / "hostile.safetensors"
    save_file(tensors, path, metadata=metadata | changes)
    with pytest.raises(UserError, match=message) as raised:
        FewShotRecognizer(device="cpu").fit(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"", b"no tensors at all", b"\xff" * 64, (1 << 60).to_bytes(8, "little") + b"{}"]
)
def test_a_file_that_is_no_safetensors_is_one_line(content, tmp_path):
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="neither a folder nor a support file") as raised:
        FewShotRecognizer(device="cpu").fit(path)
    assert "\n" not in str(raised.value)


def test_a_huge_shape_without_its_bytes_is_one_line(tmp_path):
    header = json.dumps(
        {"frames": {"dtype": "F32", "shape": [1 << 40, 8, 1 << 20], "data_offsets": [0, 16]}}
    ).encode()
    path = tmp_path / "huge.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(UserError, match="neither a folder nor a support file"):
        FewShotRecognizer(device="cpu").fit(path)


def test_a_support_file_is_written_whole_and_under_its_suffix(tiny, support, tmp_path):
    tiny.fit(support)
    with pytest.raises(UserError, match=r"must end in \.safetensors"):
        tiny.save_support(tmp_path / "mine.bin")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        tiny.save_support(tmp_path / "file" / "mine.safetensors")
    assert load_file(tiny.save_support(tmp_path / "m.safetensors"))["frames"].shape == (3, 8, 256)
