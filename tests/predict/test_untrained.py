"""A pretrained backbone labels clips without training, as evaluation of its features does."""

import shutil

import numpy as np
import pytest
import torch

from prep.clip import FrameSettings
from tasd.errors import UserError
from tasd.extraction.backbone import Pooling, pooled_features
from tasd.matchers import MATCHERS
from tasd.matchers import build as build_matcher
from tasd.predict import FewShotRecognizer
from tasd.predict.untrained import untrained_network, without_weights
from tasd.predict.windows import Windows
from tasd.store import Store
from tasd.types import Task
from tests.runs import small_config


@pytest.fixture
def recognizer(empty_home, support, resnet8_weights):
    return FewShotRecognizer.from_backbone("resnet8", weights=str(resnet8_weights)).fit(support)


def test_five_lines_label_clips_without_a_run(recognizer, clips, support, empty_home):
    assert recognizer.classes_.tolist() == ["jumping", "waving"]
    queries = [support / "jumping" / "h264_forty.mp4", support / "waving" / "mpeg4.avi"]
    assert recognizer.predict(queries).tolist() == ["jumping", "waving"]
    assert not (empty_home / "runs").exists()


def test_the_scores_are_those_of_a_store_and_pooled_features(
    empty_home, resnet8_weights, support, clips, tmp_path
):
    from typer.testing import CliRunner

    from tasd.cli.app import app

    shutil.copytree(support, tmp_path / "all")
    (tmp_path / "all" / "query").mkdir()
    shutil.copy(clips / "wide_pixels.mp4", tmp_path / "all" / "query")
    for number in range(3):  # a split wants six classes
        shutil.copytree(tmp_path / "all" / "query", tmp_path / "all" / f"other {number}")
    words = ["prep", "folder", "--root", tmp_path / "all", "--store", tmp_path / "by-hand"]
    words += ["--workers", "1", "--train-classes", "2", "--val-classes", "2", "--test-classes", "2"]
    assert CliRunner().invoke(app, list(map(str, words))).exit_code == 0
    with Store(tmp_path / "by-hand") as store:
        how = Pooling("resnet8", weights=str(resnet8_weights))
        pooled = pooled_features(store, tmp_path / "pooled.h5", how)
    row = {name: number for number, name in enumerate(pooled.videos)}
    support_names = ["jumping/h264_forty", "waving/mpeg4", "waving/vp9"]
    frames = [torch.from_numpy(pooled.features[row[n]]).float() for n in support_names]
    query = torch.from_numpy(pooled.features[row["query/wide_pixels"]]).float()
    for matcher in ("bimhm", "otam"):
        recognizer = FewShotRecognizer.from_backbone(
            "resnet8", weights=str(resnet8_weights), matcher=matcher
        ).fit(support)
        task = Task(
            way=2,
            support=torch.stack(frames)[None],
            query=query[None, None],
            support_labels=torch.tensor([[0, 1, 1]]),
        )
        options = recognizer.network_.config.matcher.options
        by_hand = build_matcher(matcher, 256, **options)(task).logits[0].numpy()
        answer = next(recognizer.answers([clips / "wide_pixels.mp4"]))
        np.testing.assert_allclose([[*answer.scores.values()]], by_hand, atol=1e-4)


def test_genuine_clips_get_their_class(shared, empty_home):
    folder = shared / "data" / "videos" / "UCF-101"
    clips = {
        name: [folder / name / f"v_{name}_g01_c0{number}.avi" for number in (1, 3, 4)]
        for name in ("ApplyEyeMakeup", "BenchPress")
    }
    recognizer = FewShotRecognizer.from_backbone(
        "mobilenet_v2", weights=str(shared / "weights" / "mobilenet_v2_imagenet.pth")
    ).fit({name: paths[:1] for name, paths in clips.items()})
    for name, paths in clips.items():
        assert recognizer.score(paths[1:], [name, name]) == 1.0


def test_frames_are_stored_a_seventh_larger_than_the_crop(resnet8_weights):
    network = untrained_network("resnet8", weights=str(resnet8_weights))
    assert network.frames == FrameSettings(frames=32, resize="square", size=256)
    assert network.config.data.crop == 224
    network = untrained_network("resnet8", weights=str(resnet8_weights), crop=112, frames=40)
    assert network.frames == FrameSettings(frames=40, resize="square", size=128)
    assert len(network.model.encoder.layers) == 0


def test_support_features_are_kept_below_home_for_these_weights_and_any_matcher(
    recognizer, empty_home, support, resnet8_weights, tmp_path
):
    assert recognizer.cache_hits_ == 0
    assert len(list((empty_home / "features" / "support").iterdir())) == 3

    def hits(**options):
        options = {"weights": str(resnet8_weights), **options}
        return FewShotRecognizer.from_backbone("resnet8", **options).fit(support).cache_hits_

    assert hits() == 3
    assert hits(crop=64) == 0
    assert hits(matcher="prototype") == 3
    state = torch.load(resnet8_weights, weights_only=True)
    state["conv1.weight"] *= 2
    torch.save(state, tmp_path / "other.pth")
    assert hits(weights=str(tmp_path / "other.pth")) == 0
    shutil.copy(resnet8_weights, tmp_path / "other.pth")  # the same weights under another name
    assert hits(weights=str(tmp_path / "other.pth")) == 3


def test_windows_of_a_long_clip_are_answered_one_by_one(recognizer, clips):
    answers = list(recognizer.answers([clips / "h264_forty.mp4"], windows=Windows(2.0, 1.0)))
    assert [answer.span[0] for answer in answers] == [0, 1, 2]
    assert all(answer.label in recognizer.classes_ for answer in answers)


def test_matchers_with_weights_are_refused_with_the_names_of_the_others(resnet8_weights):
    assert {"bimhm", "prototype", "otam", "chamfer"} <= set(without_weights())
    for name in sorted(MATCHERS.keys() - set(without_weights())):
        with pytest.raises(UserError, match=rf"--matcher {name} has weights.* bimhm, prototype"):
            untrained_network("resnet8", weights=str(resnet8_weights), matcher=name)
    with pytest.raises(UserError, match=r"no matcher is called 'bimh'.*did you mean 'bimhm'"):
        untrained_network("resnet8", weights=str(resnet8_weights), matcher="bimh")


def test_weights_that_cannot_be_had_are_refused(resnet8_weights, monkeypatch, tmp_path):
    import urllib.error

    with pytest.raises(UserError, match="no backbone is called 'features'; there are: resnet8"):
        untrained_network("features")
    with pytest.raises(UserError, match="--weights none leaves mobilenet_v2 with random weights"):
        untrained_network("mobilenet_v2", weights="none")
    with pytest.raises(
        UserError, match=r"--weights imagenet is neither .* of resnet8; give a file"
    ):
        untrained_network("resnet8")
    with pytest.raises(UserError, match="of r2plus1d_18; give kinetics400 or a file"):
        untrained_network("r2plus1d_18")
    with pytest.raises(UserError, match="does not fit the backbone"):
        untrained_network("resnet18", weights=str(resnet8_weights))

    def offline(*_, **__):
        raise urllib.error.URLError("no network here")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(UserError, match="no network here") as raised:
        untrained_network("mobilenet_v2")
    assert "\n" not in str(raised.value)


def test_settings_of_a_run_do_not_reach_a_network_without_one(resnet8_weights):
    """The network is that of the plain backbone: no encoder, no heads, no training classes."""
    network = untrained_network("resnet8", weights=str(resnet8_weights))
    assert network.classes == ()
    assert network.config.distill.weights == {}
    assert {name.split(".")[0] for name in network.model.state_dict()} == {
        "backbone",
        "mean",
        "std",
    }
    assert network.config.network.depth != small_config().network.depth
