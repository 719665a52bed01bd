"""Features of a network whose matcher reads several stages: condensed while they are extracted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasd.episodes import EpisodeSampler
from tasd.episodes.table import EpisodeTable
from tasd.evaluation.candidates import of_run
from tasd.extraction.run import Extraction
from tasd.loader import EpisodeLoader
from tasd.runs import checkpoint
from tasd.runs.folder import Run
from tasd.store import Store
from tasd.types import Task
from tests.runs import small_config, small_run

FRAMES = 2


@pytest.fixture(scope="module", params=["sloshnet", "sloshnet-temporal"])
def run(small_store: Path, tmp_path_factory, request) -> Run:
    """A run of four episodes on a ResNet-8."""
    config = small_config(
        ("network.backbone", "resnet8"),
        ("matcher.options.width", 16),
        ("training.episodes_per_step", 1),
        recipe=request.param,
        episodes=4,
    )
    return small_run(small_store, tmp_path_factory.mktemp("levels") / "run", config).run


def test_cached_evaluation_equals_the_direct_way_from_levels(run: Run, small_store: Path):
    saved = checkpoint.load(run.best)
    model = checkpoint.networks(saved)["student"]
    with Store(small_store) as store:
        sampler = EpisodeSampler(
            store.classes("test"), way=5, shot=1, queries=2, length=4, seed=0, frames=FRAMES
        )
        how = Extraction(networks=("student",), precision="float32")
        candidate = of_run(run, saved, store, how, source=run.best)
        result = candidate.score(EpisodeTable.draw(sampler))["student"]
        videos = candidate.videos
        assert videos.features.shape[1:] == (FRAMES, 256)  # a vector a frame
        assert videos.maps is None
        for batch in EpisodeLoader(store, sampler, size=32, device="cpu", kind="torch"):
            with torch.inference_mode():
                said = model.eval()(batch.frames, levels=model.matcher.levels)
                shots = len(batch.support_labels)
                levels = [maps[None] for maps in said.levels]
                task = Task(
                    5,
                    said.frames[None, :shots],
                    said.frames[None, shots:],
                    batch.support_labels[None],
                    support_levels=tuple(maps[:, :shots] for maps in levels),
                    query_levels=tuple(maps[:, shots:] for maps in levels),
                )
                direct = model.matcher(task).logits[0].numpy()
            cached = result.logits[batch.episode.index]
            np.testing.assert_allclose(cached, direct, atol=1e-4, rtol=1e-4)


def test_another_matcher_gets_the_networks_own_frames(run: Run, small_store: Path):
    saved = checkpoint.load(run.best)
    with Store(small_store) as store:
        own = of_run(run, saved, store, Extraction(networks=("student",)), source=run.best)
        how = Extraction(networks=("student",), matcher="bimhm")
        other = of_run(run, saved, store, how, source=run.best)
        model = checkpoint.networks(saved)["student"].eval()
        sampler = EpisodeSampler(
            store.classes("test"), way=2, shot=1, queries=1, length=1, seed=0, frames=FRAMES
        )
        batch = next(iter(EpisodeLoader(store, sampler, size=32, device="cpu", kind="torch")))
        with torch.inference_mode():
            plain = model(batch.frames).frames.numpy()
        rows = [other.videos.videos.index(view.video) for view in batch.episode.support]
        found = other.videos.features[rows]
    np.testing.assert_allclose(found, plain[: len(rows)], atol=1e-5, rtol=1e-4)
    assert not np.allclose(own.videos.features, other.videos.features)
