"""The figure of what student and teacher look at: its clips follow a rule."""

import pytest
from PIL import Image

from tasd.runs.checkpoint import load
from tasd.runs.folder import Run
from tasd.store import Store
from tests import attention
from tests.runs import small_config, small_run


def test_the_figure_shows_the_first_query_of_each_class_of_the_first_episode(
    small_store, tmp_path, capsys
):
    small_run(small_store, tmp_path / "run", small_config(episodes=2))
    words = ["--run", str(tmp_path / "run"), "--store", str(small_store), "--crop", "64"]
    attention.main([str(tmp_path / "out.png"), *words])
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "student and teacher",
        "before training and student",
        "before training and teacher",
    ]
    run = Run(tmp_path / "run")
    with Store(small_store) as store:
        found = list(attention.looked_at(run, store, crop=64))
        videos = attention.first_queries(store, load(run.best))
        assert {video.partition("/")[0] for video in videos} == set(store.classes("test"))
    assert [seen.video for seen in found] == videos
    assert attention.likeness(found, "student", "student") == pytest.approx(1)
    assert (tmp_path / "out.png").stat().st_size < 300_000
    with Image.open(tmp_path / "out.png") as picture:
        assert min(picture.size) > 400
