"""From pixels, through a store, the loader and a network, to cached features."""

import numpy as np
import pytest
import torch
from torch import nn

from tasd.episodes import EpisodeSampler, View, evaluation_view
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation.score import score
from tasd.extraction.extract import extract
from tasd.features.store import FeatureStore
from tasd.loader import EpisodeLoader
from tasd.matchers import MATCHERS, build
from tasd.store import Store
from tasd.types import Features, Task
from tests.narrow import narrow_arn

WIDTH = 16


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    narrow_arn(monkeypatch)


class SmallNetwork(nn.Module):
    """Two convolutions and a layer over time: maps, and frames that depend on one another."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, stride=4)
        self.second = nn.Conv2d(8, WIDTH, 3, stride=2)
        self.mix = nn.Linear(4 * WIDTH, 4 * WIDTH)

    def forward(self, frames) -> Features:
        count, time = frames.shape[:2]
        pixels = frames.flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        maps = self.second(torch.relu(self.first(pixels)))
        pooled = maps.mean(dim=(2, 3)).reshape(count, time * WIDTH)
        mixed = torch.tanh(self.mix(pooled)).reshape(count, time, WIDTH)
        return Features(mixed, maps.reshape(count, time, *maps.shape[1:]).transpose(1, 2))


@pytest.fixture
def network():
    torch.manual_seed(1)
    return SmallNetwork().eval()


@pytest.fixture(scope="module")
def open_store(small_store):
    with Store(small_store) as store:
        yield store


def extracted(network, store, path, **options) -> FeatureStore:
    classes = store.classes("test")
    settings = {"size": 64, "kind": "torch", "videos_per_batch": 4}
    return extract(
        network,
        store,
        path,
        classes=classes,
        split="test",
        view=lambda video: evaluation_view(video, 4),
        **(settings | options),
    )


@pytest.mark.parametrize("name", MATCHERS)
def test_cached_evaluation_equals_the_direct_way_from_pixels(network, open_store, tmp_path, name):
    sampler = EpisodeSampler(
        open_store.classes("test"), way=5, shot=1, queries=2, length=6, seed=0, frames=4
    )
    narrow = {"width": 24} if name == "hcl" else {}  # the published width takes long
    matcher = build(name, WIDTH, classes=4, frames=4, **narrow).eval()
    maps = matcher.needs_maps
    features = extracted(network, open_store, tmp_path / "features.h5", maps=maps)
    result = score(features, EpisodeTable.draw(sampler), matcher)
    for batch in EpisodeLoader(open_store, sampler, size=64, device="cpu", kind="torch"):
        with torch.inference_mode():
            said, shots = network(batch.frames), len(batch.support_labels)
            task = Task(
                5,
                said.frames[None, :shots],
                said.frames[None, shots:],
                batch.support_labels[None],
                support_maps=said.maps[None, :shots] if maps else None,
                query_maps=said.maps[None, shots:] if maps else None,
            )
            direct = matcher(task).logits[0].numpy()
        cached = result.logits[batch.episode.index]
        np.testing.assert_allclose(cached, direct, atol=1e-5, rtol=1e-5)
        np.testing.assert_array_equal(cached.argmax(axis=1), direct.argmax(axis=1))


def test_extraction_keeps_maps_and_names_what_it_was_made_of(network, open_store, tmp_path):
    features = extracted(
        network,
        open_store,
        tmp_path / "features.h5",
        maps=True,
        about={"network": "student", "crop": 64},
        trained_on=("train class 0",),
        groups={video: video[-1] for video in open_store.videos},
    )
    assert features.maps.shape == (*features.features.shape, 7, 7)
    assert features.maps.dtype == np.float32
    assert features.features.dtype == np.float32
    assert list(features.classes("test")) == [f"test class {i}" for i in range(5)]
    assert features.about["network"] == "student"
    assert features.about["crop"] == 64
    assert features.trained_on == ("train class 0",)
    assert features.groups["test class 0/v3"] == "3"


def test_half_features_are_the_same_but_for_their_last_digits(network, open_store, tmp_path):
    whole = extracted(network, open_store, tmp_path / "a.h5")
    half = extracted(network, open_store, tmp_path / "b.h5", half=True, maps=True)
    assert half.features.dtype == half.maps.dtype == np.float16
    np.testing.assert_allclose(half.features, whole.features, atol=1e-3)


def test_a_network_that_gives_nan_leaves_no_file(network, open_store, tmp_path):
    network.mix.weight.data[0] = float("nan")
    with pytest.raises(UserError, match="NaN or infinity for video 'test class 0/v0'; take"):
        extracted(network, open_store, tmp_path / "features.h5")
    assert list(tmp_path.iterdir()) == []


def test_values_too_large_for_float16_are_refused(network, open_store, tmp_path):
    network.second.weight.data *= 1e7
    with pytest.raises(UserError, match="float16 ends at 65504"):
        extracted(network, open_store, tmp_path / "features.h5", maps=True, half=True)


def test_one_frame_for_all_is_another_view(network, open_store, tmp_path):
    path = tmp_path / "still.h5"
    classes = open_store.classes("test")
    stills = extract(
        network,
        open_store,
        path,
        classes=classes,
        split="test",
        view=lambda video: View(video, (0.5,) * 4),
        size=64,
        kind="torch",
    )
    moving = extracted(network, open_store, tmp_path / "moving.h5")
    assert not np.allclose(stills.features, moving.features, atol=1e-3)
