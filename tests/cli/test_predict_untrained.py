"""`tasd predict --backbone`, for people and for scripts, and the mistakes that it refuses."""

import json
import shutil
import signal
import sys

import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError
from tests import forks


@pytest.fixture
def predict(empty_home, support, resnet8_weights):
    def called(*words, support=support, backbone=("--backbone", "resnet8")):
        named = [*backbone, *(["--weights", resnet8_weights] if backbone else [])]
        words = ["predict", *named, "--support", support, *words]
        result = CliRunner().invoke(app, list(map(str, words)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return called


def test_clips_are_labelled_without_a_run(predict, support):
    result = predict(support / "jumping", "--device", "cpu")
    assert result.exit_code == 0
    assert "h264_forty.mp4  jumping  jumping" in result.stdout
    assert "2 classes of 1 to 2 clips, features of 0 of 3 from the cache" in result.stderr
    again = predict(support / "jumping", "--csv", "--device", "cpu")
    assert "features of 3 of 3 from the cache" in again.stderr
    assert again.stdout.splitlines()[1].split(",")[3] == "jumping"


def test_json_names_backbone_weights_and_matcher(predict, clips, resnet8_weights):
    document = json.loads(predict(clips / "vp9.webm", "--matcher", "otam", "--json").stdout)
    model = document["model"]
    assert model["backbone"] == "resnet8"
    assert model["weights"] == str(resnet8_weights)
    assert model["matcher"] == "otam"
    assert model["network"] == "backbone"
    assert document["answers"][0]["class"] == "waving"


def test_long_videos_are_drawn_without_a_run(predict, clips, tmp_path):
    picture = tmp_path / "timeline.png"
    predict(clips / "h264_forty.mp4", "--window", 2, "--timeline", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_folder_is_watched_without_a_run(empty_home, support, clips, resnet8_weights, tmp_path):
    folder = tmp_path / "incoming"
    folder.mkdir()
    shutil.copy(clips / "mpeg4.avi", folder)
    words = [sys.executable, "-m", "tasd", "predict", "--backbone", "resnet8", "--weights"]
    words += [resnet8_weights, "--support", support, "--watch", folder, "--json"]
    with forks.Fork(list(map(str, words)), stdout=forks.PIPE, stderr=forks.DEVNULL) as process:
        answer = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(200) == 0
    assert answer["class"] == "waving"


def test_a_threshold_of_the_support_is_printed(predict, support, clips):
    shutil.copy(clips / "motion_jpeg.avi", support / "jumping")
    (support / "sleeping").mkdir()
    for name in ("wide_pixels.mp4", "mpeg4.avi"):
        shutil.copy(clips / name, support / "sleeping")
    result = predict(clips, "--reject", "--json")
    assert "of the support clips, each left out in turn, and" in result.stderr
    document = json.loads(result.stdout)
    assert document["threshold"]["classes"] == 3
    assert document["threshold"]["episodes"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reject"], "without training needs a support of 3 classes or more"),
        (["--run", "mine"], "--run mine and --backbone resnet8 exclude one another"),
        (["--store", "mine"], "--store mine is an option for runs, not for --backbone"),
        (["--matcher", "trx"], "--matcher trx has weights of its own"),
        (["--matcher", "nearest"], "no matcher is called 'nearest'; there are: bimhm"),
        (["--weights", "nowhere.pth"], "--weights nowhere.pth is neither a file nor published"),
        (["--backbone", "resnet9"], "no backbone is called 'resnet9'; there are: resnet8"),
        (["--window", "2", "--watch", "."], "leave out --window or --watch"),
    ],
)
def test_a_mistake_without_a_run_is_one_line(predict, clips, words, message):
    clip = [] if "--watch" in words else [clips / "vp9.webm"]
    with pytest.raises(UserError, match=message) as raised:
        predict(*clip, *words)
    assert "\n" not in str(raised.value)


def test_options_of_a_backbone_need_one(predict, clips):
    for option in ("--weights", "--matcher"):
        with pytest.raises(UserError, match=f"{option} otam is an option for --backbone"):
            predict(clips, option, "otam", backbone=())


def test_a_support_that_cannot_be_used_is_one_line(predict, clips, support, tmp_path):
    clip = clips / "vp9.webm"
    shutil.rmtree(support / "waving")
    with pytest.raises(UserError, match=r"the support has 1 class \(jumping\)"):
        predict(clip)
    with pytest.raises(UserError, match="is not a folder"):
        predict(clip, support=tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="bare") as raised:
        predict(clip, support=tmp_path / "bare")
    assert "\n" not in str(raised.value)
    (support / "broken").mkdir()
    (support / "broken" / "cut.mp4").write_bytes(b"no video at all" * 50)
    with pytest.raises(UserError, match=r"no clip of the class 'broken' can be read .*cut\.mp4"):
        predict(clip)


def test_clips_that_cannot_be_read_are_reported(predict, clips, tmp_path):
    (tmp_path / "empty.mp4").touch()
    result = predict(tmp_path / "empty.mp4", clips / "vp9.webm")
    assert result.exit_code == 0
    assert "not read" in result.stdout
    assert predict(tmp_path / "empty.mp4").exit_code == 1
    with pytest.raises(UserError, match="no clip to label"):
        predict()
