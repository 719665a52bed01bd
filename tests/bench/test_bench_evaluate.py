"""The benchmark of evaluation: measured and multiplied numbers add up and are printed."""

import io
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from tasd.bench import evaluate as module
from tasd.bench.evaluate import Bench, bench_evaluate, evaluate_table, random_features

SMALL = {"backbone": "resnet18", "size": 32, "rounds": 1, "sampled": 1}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(module, "VIDEOS_EACH", 8)
    monkeypatch.setattr(module, "TRIAL", 4)


@pytest.fixture(scope="module")
def figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "VIDEOS_EACH", 8)
        patch.setattr(module, "TRIAL", 4)
        return bench_evaluate(Bench(episodes=60, **SMALL), names=("bimhm", "molo"))


def test_the_whole_is_the_sum_of_its_parts(figures):
    bimhm, molo = figures.matchers
    assert figures.videos == 24 * 8
    assert figures.channels == 512
    assert figures.recomputed == pytest.approx(60 * figures.per_episode)
    assert figures.cached == pytest.approx(figures.videos * figures.per_video + bimhm.seconds)
    assert figures.speed == pytest.approx(figures.recomputed / figures.cached)
    assert bimhm.whole
    assert bimhm.episodes == 60
    assert not molo.whole  # measured on fewer videos
    assert molo.videos == 24 * module.FEWER_VIDEOS_EACH
    multiplied = figures.videos * molo.prepare + 60 / molo.episodes_per_second
    assert molo.seconds == pytest.approx(multiplied)


def test_the_table_tells_what_was_measured_and_what_multiplied(figures):
    text = io.StringIO()
    Console(file=text, width=200).print(evaluate_table(figures))
    shown = " ".join(text.getvalue().split())
    assert "60 episodes, 5-way 1-shot, 1 query per class; 192 videos x 8 frames x 512" in shown
    assert "whole" in shown
    assert "60 episodes, 144 videos; multiplied" in shown
    assert "decoding is in neither" in shown


@pytest.mark.parametrize(
    ("times", "said"),
    [(1234.5, "1,234 times faster."), (1.26, "1.3 times faster."),
     (0.25, "4.0 times slower, with so few episodes.")],
)  # fmt: skip
def test_the_cached_way_is_said_to_be_faster_or_slower(figures, times, said):
    other = replace(figures, speed=times)
    text = io.StringIO()
    Console(file=text, width=200).print(evaluate_table(other))
    assert f"The cached way is {said}" in " ".join(text.getvalue().split())


def test_a_matcher_that_takes_long_is_measured_on_fewer_episodes(monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 0.0)
    (trx,) = bench_evaluate(Bench(episodes=500, **SMALL), names=("trx",)).matchers
    assert trx.episodes == 4
    assert not trx.whole
    assert trx.seconds > 500 / trx.episodes_per_second


def test_the_figures_are_plain_data(figures):
    assert asdict(figures)["matchers"][0]["matcher"] == "bimhm"


def test_random_features_have_the_shape_of_the_test_split():
    features = random_features(16, videos_each=3, maps=True)
    assert features.features.shape == (72, 8, 16)
    assert features.maps.shape == (72, 8, 16, 7, 7)
    assert {len(ids) for ids in features.classes("test").values()} == {3}
