"""Clips are labelled as the queries of an evaluation episode are."""

import json
import shutil

import numpy as np
import pytest
import torch

from prep.ffmpeg_process import find_ffmpeg
from tasd.episodes import evaluation_view
from tasd.errors import UserError
from tasd.loader import open_views
from tasd.predict import NOT_READ, FewShotRecognizer
from tasd.predict.clips import clip_features, whole_clip
from tasd.predict.trained import trained_network
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.types import Task


@pytest.fixture
def recognizer(home, support):
    return FewShotRecognizer.from_run(home / "runs" / "tiny").fit(support)


def test_five_lines_label_clips(recognizer, clips, support):
    assert recognizer.classes_.tolist() == ["jumping", "waving"]
    assert [len(clips) for clips in recognizer.support_.values()] == [1, 2]
    queries = [support / "jumping" / "h264_forty.mp4", str(clips / "motion_jpeg.avi")]
    labels = recognizer.predict(queries)
    assert labels[0] == "jumping"
    shares = recognizer.predict_proba(queries)
    assert recognizer.classes_[shares.argmax(axis=1)].tolist() == labels.tolist()
    np.testing.assert_allclose(recognizer.predict_proba(queries).sum(axis=1), 1)
    assert recognizer.score(queries[:1], ["jumping"]) == 1.0


def test_the_scores_are_those_of_prep_network_and_matcher_by_hand(home, support, clips, tmp_path):
    """The same clips through tasd prep's own writer, the checkpoint and one task."""
    from typer.testing import CliRunner

    from tasd.cli.app import app

    shutil.copytree(support, tmp_path / "all")
    (tmp_path / "all" / "query").mkdir()
    shutil.copy(clips / "wide_pixels.mp4", tmp_path / "all" / "query")
    for number in range(3):  # a split wants six classes
        shutil.copytree(tmp_path / "all" / "query", tmp_path / "all" / f"other {number}")
    words = ["prep", "folder", "--root", tmp_path / "all", "--store", tmp_path / "by-hand"]
    words += ["--frames", "8", "--size", "72", "--workers", "1"]
    words += ["--train-classes", "2", "--val-classes", "2", "--test-classes", "2"]
    assert CliRunner().invoke(app, list(map(str, words))).exit_code == 0
    run = Run(home / "runs" / "tiny")
    saved = checkpoint.load(run.best)
    model = checkpoint.networks(saved)[saved.progress.best.network]
    names = ["jumping/h264_forty", "waving/mpeg4", "waving/vp9", "query/wide_pixels"]
    views = [evaluation_view(name, saved.config.data.frames) for name in names]
    crop = saved.config.data.crop
    with Store(tmp_path / "by-hand") as store, torch.inference_mode():
        pixels = next(iter(open_views(store, [views], size=crop, device="cpu", kind="torch")))
        frames = model(pixels).frames
        task = Task(
            way=2,
            support=frames[None, :3],
            query=frames[None, 3:],
            support_labels=torch.tensor([[0, 1, 1]]),
        )
        by_hand = model.matcher(task).logits[0].numpy()
    recognizer = FewShotRecognizer.from_run(run.path).fit(support)
    answer = next(recognizer.answers([clips / "wide_pixels.mp4"]))
    np.testing.assert_allclose([[*answer.scores.values()]], by_hand, atol=1e-5)
    difference = recognizer.decision_function([clips / "wide_pixels.mp4"])
    np.testing.assert_allclose(difference, by_hand[:, 1] - by_hand[:, 0], atol=1e-5)


def test_a_broken_clip_is_reported_and_the_rest_answered(recognizer, clips, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all" * 50)
    queries = [clips / "mpeg4.avi", broken, tmp_path / "nowhere.mp4", clips / "vp9.webm"]
    answers = list(recognizer.answers(queries))
    assert [answer.video for answer in answers] == queries
    assert [bool(answer.problem) for answer in answers] == [False, True, True, False]
    assert "no such file" in answers[2].problem
    alone = next(iter(recognizer.answers(queries[3:])))
    assert answers[3].scores == pytest.approx(alone.scores, abs=1e-5)
    with pytest.warns(UserWarning, match="broken"):
        assert recognizer.predict([broken]).tolist() == [NOT_READ]


def test_a_clip_named_twice_is_answered_twice(recognizer, clips):
    queries = [clips / "mpeg4.avi", clips / "vp9.webm", clips / "mpeg4.avi"]
    labels = recognizer.predict(queries)
    assert len(labels) == 3
    assert labels[0] == labels[2]


def test_the_support_may_be_a_mapping_or_clips_with_labels(recognizer, clips, support):
    queries = [clips / "motion_jpeg.avi"]
    scores = recognizer.decision_function(queries)
    by_class = dict(recognizer.support_.items())
    flat = [(path, name) for name, paths in by_class.items() for path in paths]
    paths, labels = zip(*reversed(flat), strict=True)
    for given in ((by_class,), (paths, labels)):
        np.testing.assert_allclose(recognizer.fit(*given).decision_function(queries), scores)


def test_support_clips_are_looked_at_once(recognizer, home, support, clips):
    assert recognizer.cache_hits_ == 0
    run = home / "runs" / "tiny"
    again = FewShotRecognizer.from_run(run).fit(support)
    assert again.cache_hits_ == 3
    queries = [clips / "motion_jpeg.avi"]
    np.testing.assert_array_equal(
        again.decision_function(queries), recognizer.decision_function(queries)
    )
    # Another content under the same name is another clip.
    shutil.copy(clips / "motion_jpeg.avi", support / "waving" / "mpeg4.avi")
    assert FewShotRecognizer.from_run(run).fit(support).cache_hits_ == 2
    assert FewShotRecognizer.from_run(run, cache=False).fit(support).cache_hits_ == 0


def test_a_damaged_cache_is_computed_again(recognizer, home, support):
    folder = home / "runs" / "tiny" / "features" / "support"
    for file in folder.iterdir():
        file.write_bytes(b"damaged")
    again = FewShotRecognizer.from_run(home / "runs" / "tiny").fit(support)
    assert again.cache_hits_ == 0
    assert again.classes_.tolist() == recognizer.classes_.tolist()


def test_the_run_remembers_how_its_frames_were_made(recognizer, home):
    shutil.rmtree(home / "stores")
    run = Run(home / "runs" / "tiny")
    assert trained_network(run).frames == recognizer.network_.frames
    memory = json.loads((run.path / "predict.json").read_text())
    assert memory["frames"]["size"] == 72
    (run.path / "predict.json").unlink()
    with pytest.raises(UserError, match="--store"):
        trained_network(run)


def test_a_run_that_cannot_be_written_labels_clips(home, clips, support, capsys):
    run = Run(home / "runs" / "tiny")
    (run.path / "predict.json").unlink(missing_ok=True)
    (run.path / "predict.json").mkdir()
    (run.path / "features").mkdir(exist_ok=True)
    (run.path / "features" / "support").write_text("in the way")
    recognizer = FewShotRecognizer.from_run(run.path).fit(support)
    assert recognizer.predict([support / "jumping" / "h264_forty.mp4"]).tolist() == ["jumping"]
    assert "predict.json cannot be written" in capsys.readouterr().err


def test_no_folder_is_open_while_the_features_of_a_clip_are_handed_over(
    recognizer, support, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trained = recognizer.network_
    found = clip_features(
        trained,
        sorted(support.glob("*/*")),
        find_ffmpeg(),
        settings=trained.frames,
        views_of=whole_clip(trained.config.data.frames),
    )
    assert not next(found).problem
    assert list(tmp_path.glob("tasd-predict-*")) == []


def test_a_class_without_a_readable_clip_is_named(home, support):
    (support / "sleeping").mkdir()
    (support / "sleeping" / "empty.mp4").touch()
    recognizer = FewShotRecognizer.from_run(home / "runs" / "tiny")
    with pytest.raises(UserError, match=r"'sleeping'.*empty\.mp4"):
        recognizer.fit(support)
    shutil.copy(support / "waving" / "vp9.webm", support / "sleeping")
    recognizer.fit(support)
    assert [path.rpartition("/")[2] for path in recognizer.problems_] == ["empty.mp4"]


def test_what_cannot_be_fit_is_told_in_one_line(home, support, clips):
    recognizer = FewShotRecognizer.from_run(home / "runs" / "tiny")
    with pytest.raises(UserError, match="call fit"):
        recognizer.predict([clips / "vp9.webm"])
    with pytest.raises(UserError, match="two classes or more"):
        recognizer.fit({"waving": [clips / "vp9.webm"]})
    with pytest.raises(UserError, match="fit of 1 clips requires y"):
        recognizer.fit([clips / "vp9.webm"])
    with pytest.raises(UserError, match="is not a run"):
        FewShotRecognizer.from_run(support).fit(support)
