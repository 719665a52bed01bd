"""The output of `tasd predict`, for people and for scripts."""

import csv
import io
import json
import shutil
import signal
import sys

import pytest
from typer.testing import CliRunner

from tasd.cli.app import app
from tasd.errors import UserError
from tests import forks


def run_tasd(*words):
    result = CliRunner().invoke(app, list(map(str, words)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def predict(home, support):
    def called(*words):
        run = home / "runs" / "tiny"
        return run_tasd("predict", "--run", run, "--support", support, *words)

    return called


def test_a_table_names_each_clip_and_its_class(predict, clips, tmp_path):
    (tmp_path / "empty.mp4").touch()
    result = predict(clips, tmp_path / "empty.mp4")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 1 + 5 + 1
    assert sum("waving" in line for line in lines) >= 5
    assert "not read" in lines[-1]
    assert "the file is empty" in lines[-1]
    assert "2 classes of 1 to 2 clips" in result.stderr
    assert "6 clips in" in result.stderr


def test_json_and_csv_hold_the_same_scores(predict, clips):
    document = json.loads(predict(clips, "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(predict(clips, "--csv").stdout)))
    assert len(document["answers"]) == len(rows) == 5
    for answer, row in zip(document["answers"], rows, strict=True):
        assert answer["video"] == row["video"]
        assert answer["class"] == row["class"] == max(answer["scores"], key=answer["scores"].get)
        assert float(row["score jumping"]) == pytest.approx(answer["scores"]["jumping"], abs=1e-5)
        share = answer["probabilities"]["jumping"]
        assert float(row["share jumping"]) == pytest.approx(share, abs=1e-5)
    assert document["classes"] == ["jumping", "waving"]


def test_nothing_readable_is_exit_code_1(predict, tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert predict(tmp_path / "empty.mp4").exit_code == 1


def test_idle_command_lines_are_refused(predict, clips):
    with pytest.raises(UserError, match="exclude one another"):
        predict(clips, "--json", "--csv")
    with pytest.raises(UserError, match="no clip to label"):
        predict()


def test_a_run_on_features_is_refused_in_one_line(predict, home, clips):
    from tasd.recipes.settings import replace
    from tasd.runs import checkpoint
    from tasd.runs.folder import Run

    run = Run(home / "runs" / "tiny")
    saved = checkpoint.load(run.best)
    config = replace(saved.config, [("data.features", "mine.h5")])
    vars(saved)["config"] = config
    saved.save(run.best)
    with pytest.raises(UserError, match=r"trained on the features of mine\.h5"):
        predict("--run", run.path, clips)


def test_windows_are_answered_one_by_one_and_drawn(predict, clips, tmp_path):
    """A clip of four seconds, in windows of two."""
    picture = tmp_path / "timeline.png"
    words = (clips / "h264_forty.mp4", "--window", 2, "--stride", 1)
    document = json.loads(predict(*words, "--json").stdout)
    spans = [(answer["start"], answer["end"]) for answer in document["answers"]]
    assert [start for start, _ in spans] == [0, 1, 2]
    assert spans[-1][1] == pytest.approx(4, abs=0.5)
    result = predict(*words, "--timeline", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert " s  " in result.stdout.splitlines()[1]


def test_options_of_windows_alone_are_refused(predict, clips, tmp_path):
    with pytest.raises(UserError, match=r"--stride 1\.0 has no effect without --window"):
        predict(clips, "--stride", 1)
    with pytest.raises(UserError, match="leave out --window"):
        predict("--watch", tmp_path, "--window", 1)
    with pytest.raises(UserError, match="too short"):
        predict(clips, "--window", 0.001)


def test_a_watched_folder_is_labelled_until_ctrl_c(home, support, clips, tmp_path):
    """In another process, since a signal goes to a whole process."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    shutil.copy(clips / "mpeg4.avi", folder)
    words = [sys.executable, "-m", "tasd", "predict", "--run", home / "runs" / "tiny"]
    words += ["--support", support, "--watch", folder]
    with forks.Fork(
        [*map(str, words), "--json"], stdout=forks.PIPE, stderr=forks.DEVNULL
    ) as process:
        first = json.loads(process.stdout.readline())
        shutil.copy(clips / "vp9.webm", folder)
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(200) == 0
    assert first["video"].endswith("mpeg4.avi")
    assert second["video"].endswith("vp9.webm")
    assert first["class"] in ("jumping", "waving")
