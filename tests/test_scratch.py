"""The study of Eq. 2 from random weights, on a small store."""

import argparse
import math

import pytest

from tasd.runs.checkpoint import load
from tasd.store import Store
from tests import scratch
from tests.runs import small_config, small_run


def test_every_variant_is_a_setting_of_the_recipe():
    args = scratch.parsed(["out", "--store", "store"])
    made = {name: scratch.config_of(name, 3, args) for name in scratch.VARIANTS}
    assert len({config.save_text() for config in made.values()}) == len(made)
    assert not made[scratch.NONE].distill.weights
    assert {config.training.seed for config in made.values()} == {3}


def test_equal_features_tell_nothing_once_the_centre_has_arrived(small_store, tmp_path):
    config = small_config(("training.checkpoint_every", 4), episodes=4)
    run = small_run(small_store, tmp_path / "run", config).run
    with Store(small_store) as store:
        for episode in (0, 4):
            saved = load(run.checkpoints / f"episode-{episode:06}.pt")
            found = scratch.targets_of(saved, store, classes=6)
            assert found.episode == episode
            assert 0 < found.entropy <= 1 + 1e-6
            assert found.settled > found.entropy - 0.05
            assert -1 <= found.alike <= 1
            assert math.isfinite(found.told)


def test_the_table_pairs_by_seed():
    none = [{"validation": 58.0, "accuracy": test, "ce": math.nan} for test in (50.0, 60.0)]
    with_it = [
        {"validation": 59.0, "accuracy": test, "ce": ce} for test, ce in ((51.0, 8.3), (61.0, 8.1))
    ]
    found = {scratch.NONE: none, scratch.UNCHANGED: with_it}
    lines = list(scratch.table(found, outputs=4096))
    assert "(even: 8.32)" in lines[0]
    assert lines[2].startswith(f"| {scratch.NONE} | 58.0 ±0.0 | 55.0 ±")
    assert "| +1.0 ±0.0 |  | 8.30 8.10 |" in lines[3]


def test_a_run_that_is_there_is_not_trained_again(tmp_path, monkeypatch):
    (tmp_path / "from_the_first_step-seed0.json").write_text('{"accuracy": 55.5, "ce": 8.2}')
    monkeypatch.setattr(scratch, "train", None)
    args = argparse.Namespace(out=tmp_path)
    assert scratch.figures(scratch.UNCHANGED, 0, args)["accuracy"] == pytest.approx(55.5)
