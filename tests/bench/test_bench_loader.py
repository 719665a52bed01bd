"""The benchmark of the loader: every way loads the same frames, and the numbers add up."""

import importlib.util
import io
import sys
from dataclasses import asdict, replace

import pytest
import torch
from rich.console import Console

from tasd.bench.field_loader import MEAN, STD, jpeg_files, video_files
from tasd.bench.loader import (
    FIELD,
    FIELD_BYTES,
    FIELD_VIDEOS,
    OURS,
    OURS_FLOAT,
    bench_loader,
    episode,
    loader_table,
    loader_times,
)
from tasd.errors import UserError
from tasd.loader import open_views
from tasd.types import Normalisation

SMALL = {"clips": 4, "frames": 2, "rounds": 2, "episodes": 1, "workers": 0}
CLIPS = [
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01",
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c02",
    "BenchPress/v_BenchPress_g01_c01",
    "BenchPress/v_BenchPress_g01_c02",
]


@pytest.fixture
def clips(make_store):
    """A store at the usual size, its videos named after real clips."""
    return make_store(dict.fromkeys(CLIPS, (256, 256)))


def drawn(store):
    return [episode(store, index, clips=8, frames=3) for index in range(2)]


def test_the_fields_files_hold_the_frames_that_ours_gives(clips, tmp_path):
    episodes = drawn(clips)
    files = jpeg_files(clips, episodes, size=224, folder=tmp_path)
    mean, std = 255 * torch.tensor(MEAN), 255 * torch.tensor(STD)
    plain = replace(files, normalised=False)
    views = open_views(clips, episodes, size=224, device="cpu")
    normalised = open_views(clips, episodes, size=224, device="cpu", normalise=Normalisation())
    for number, (frames, floats) in enumerate(zip(views, normalised, strict=True)):
        ours = ((frames - mean) / std).movedim(-1, 2).flatten(0, 1)
        assert torch.allclose(floats.flatten(0, 1), ours, atol=1e-5)
        assert torch.allclose(files[number], ours, atol=3 / 255 / 0.224)
        assert plain[number].dtype == frames.dtype == torch.uint8
        pixels = frames.movedim(-1, 2).flatten(0, 1)
        assert (plain[number].int() - pixels.int()).abs().max() <= 3


def test_figures_are_medians_and_ratios_of_the_same_round_and_the_same_kind():
    seconds = {OURS: [1.0, 2.0, 10.0], FIELD: [9.9, 9.9, 9.9], FIELD_BYTES: [4.0, 9.0, 20.0]}
    ours, _, field = loader_times(seconds, frames=240, episodes=4)
    assert (ours.way, ours.milliseconds, ours.frames_per_second) == (OURS, 500.0, 480.0)
    assert ours.speed == 4.0  # the middle of 4, 4.5 and 2; the ratio of the medians is 4.5
    assert (field.milliseconds, field.speed) == (2250.0, 1.0)


def test_the_bench_times_every_way_and_prints_it(clips):
    figures = bench_loader(clips, size=224, **SMALL)
    assert [way.way for way in figures.ways] == [OURS, OURS_FLOAT, FIELD, FIELD_BYTES]
    assert (figures.videos, figures.frames, figures.rounds) == (4, 8, 2)
    assert all(value > 0 for way in figures.ways for value in list(asdict(way).values())[1:])
    console = Console(file=io.StringIO(), width=120)
    console.print(loader_table(figures))
    text = " ".join(console.file.getvalue().split())
    assert FIELD in text
    floats, pixels = figures.ways[1].speed, figures.ways[0].speed
    assert f"normalised on the CPU, tasd is {floats:.1f} times as fast as Pillow; as uint8" in text
    assert f"which the device normalises, {pixels:.1f} times" in text
    ratio = figures.ways[2].milliseconds / figures.ways[0].milliseconds
    assert f"tasd loads uint8, which training takes, {ratio:.1f} times as fast as Pillow" in text


@pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord is not installed")
def test_the_bench_times_decord_on_the_videos_themselves(clips, shared):
    figures = bench_loader(clips, videos=shared / "data" / "videos" / "UCF-101", **SMALL)
    assert figures.ways[-1].way == FIELD_VIDEOS
    assert figures.ways[-1].frames_per_second > 0


@pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord is not installed")
def test_videos_of_another_data_set_are_refused(clips, tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "clip.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=r"lacks 4 videos of the store .*ApplyEyeMakeup"):
        video_files(clips, drawn(clips), size=224, root=tmp_path)


def test_without_decord_the_videos_are_refused(clips, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(UserError, match="decord, which is not installed"):
        video_files(clips, drawn(clips), size=224, root=tmp_path)


def test_a_store_of_one_video_will_do(make_store):
    assert bench_loader(make_store({"a/0": (64, 64)}), size=32, **SMALL).frames == 8
