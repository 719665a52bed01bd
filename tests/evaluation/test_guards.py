"""Small guards that nothing else would miss: each test fails where its guard is removed."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tasd.evaluation.bootstrap import bootstrap_interval
from tasd.evaluation.metrics import t_quantile
from tasd.features.writer import write_features
from tasd.files import write_text
from tasd.matchers.ta2n import TA2N
from tasd.predict.export import read_export, write_export
from tasd.store.manifest import write_json
from tasd.types import Features
from tests.test_kept import KEPT


def synced_before_rename(monkeypatch, write) -> list[str]:
    """The order in which ``write`` syncs a whole file and gives it its name."""
    events, sync, rename = [], os.fsync, Path.replace

    def fsync(descriptor):
        events.append(f"sync {os.fstat(descriptor).st_size}")
        sync(descriptor)

    def replace(self, target):
        events.append(f"rename {self.stat().st_size}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write()
    monkeypatch.undo()
    return events


def test_a_text_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events = synced_before_rename(monkeypatch, lambda: write_text(tmp_path / "a", "text"))
    assert events[:2] == ["sync 4", "rename 4"]


def test_features_are_on_the_disk_before_they_have_their_name(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"

    def write():
        batch = Features(torch.ones(2, 3, 4), None)
        write_features(path, [batch], videos=[("a", "x"), ("b", "x")], splits={"x": "test"})

    events = synced_before_rename(monkeypatch, write)
    size = path.stat().st_size
    assert events[:2] == [f"sync {size}", f"rename {size}"]


def test_the_name_of_a_manifest_is_on_the_disk_too(tmp_path, monkeypatch):
    events = synced_before_rename(monkeypatch, lambda: write_json(tmp_path / "a.json", {"a": 1}))
    assert [event.split()[0] for event in events] == ["sync", "rename", "sync"]


def test_both_files_of_an_export_and_their_names_are_on_the_disk(tmp_path, monkeypatch):
    trained, folder = read_export(KEPT / "export"), tmp_path / "export"
    events = synced_before_rename(monkeypatch, lambda: write_export(trained, folder))
    weights, config = ((folder / n).stat().st_size for n in ("model.safetensors", "config.json"))
    kinds = [event.split()[0] for event in events]
    assert kinds == ["sync", "rename", "sync", "sync", "rename", "sync"]  # file, name, folder
    assert events[:2] == [f"sync {weights}", f"rename {weights}"]
    assert events[3:5] == [f"sync {config}", f"rename {config}"]


def test_the_bootstrap_is_not_too_narrow_for_few_units():
    """With n units of equal share, one of each in an episode, the scale has a closed form."""
    count, repeats = 6, 4000
    random = np.random.default_rng(0)
    effect = np.linspace(-0.15, 0.15, count)
    members = np.tile(np.arange(count), 3000)[:, None]
    accuracies = 0.5 + effect[members[:, 0]] + random.normal(0, 1e-6, len(members))
    found = bootstrap_interval(
        accuracies, members, np.zeros(count, np.int64), together=1, repeats=repeats
    )
    # The standard error of a mean of n units: s / sqrt(n), with s of n - 1 degrees of freedom.
    expected = t_quantile(0.975, count - 1) * effect.std(ddof=1) / np.sqrt(count)
    assert found.half == pytest.approx(expected, rel=0.1)


def test_the_offsets_of_ta2n_begin_at_zero():
    matcher = TA2N(8)
    for out in (matcher.offsets.out, matcher.transform.out):
        assert not bool(out.weight.any())
    assert not bool(matcher.offsets.out.bias.any())
