"""Episodes come out whole, in order, with labels and second views."""

import pytest
import torch

from tasd.episodes import EpisodeSampler
from tasd.errors import UserError
from tasd.loader import LOADERS, EpisodeLoader, open_views

KINDS = sorted(LOADERS)
OPTIONS = {"size": 24, "device": "cpu"}


@pytest.fixture
def many(make_store):
    """Three classes of five videos."""
    return make_store({f"{name}/{v}": (32, 40 + v) for name in "abc" for v in range(5)})


def sampler(store, **options):
    shape = {"way": 2, "shot": 1, "queries": 2, "length": 6, "seed": 7, "frames": 3}
    return EpisodeSampler(store.classes(), training=True, **(shape | options))


@pytest.mark.parametrize("kind", KINDS)
def test_episodes_arrive_in_order_with_their_labels(many, kind):
    drawn = sampler(many)
    batches = list(EpisodeLoader(many, drawn, kind=kind, **OPTIONS))
    assert [batch.episode for batch in batches] == list(drawn)
    for batch in batches:
        assert batch.frames.shape == (6, 3, 24, 24, 3)
        assert batch.support_labels.tolist() == [0, 1]
        assert batch.query_labels.tolist() == [0, 0, 1, 1]
        assert batch.second is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("second", "count"), [("support", 2), ("query", 4)])
def test_second_views_come_apart_from_the_first(many, kind, second, count):
    drawn = sampler(many, second=second)
    for batch in EpisodeLoader(many, drawn, kind=kind, **OPTIONS):
        again = next(iter(open_views(many, [batch.episode.second], kind=kind, **OPTIONS)))
        assert batch.frames.shape[0] == 6
        assert batch.second.shape[0] == count
        assert torch.equal(batch.second, again)


@pytest.mark.parametrize("kind", KINDS)
def test_an_episode_is_the_same_alone_and_in_a_row(many, kind):
    drawn = sampler(many, jitter=0.3)
    in_a_row = [b.frames for b in EpisodeLoader(many, drawn, kind=kind, prefetch=3, **OPTIONS)]
    for index in (5, 0, 3):
        (alone,) = EpisodeLoader(many, [drawn[index]], kind=kind, prefetch=1, threads=1, **OPTIONS)
        assert torch.equal(alone.frames, in_a_row[index])


@pytest.mark.parametrize("kind", KINDS)
def test_episodes_of_unlike_shapes_go_through_one_loader(many, kind):
    drawn = [
        sampler(many)[0],
        sampler(many, way=3, shot=2, queries=3, frames=1)[1],
        sampler(many, shot=3, frames=5, jitter=0.5)[2],
        sampler(many, queries=1)[3],
    ]
    shapes = [b.frames.shape[:2] for b in EpisodeLoader(many, drawn, kind=kind, **OPTIONS)]
    assert shapes == [(6, 3), (15, 1), (10, 5), (4, 3)]


def test_the_store_itself_is_refused_before_the_first_episode(many):
    with pytest.raises(UserError, match="a crop of 33 pixels does not fit"):
        EpisodeLoader(many, sampler(many), size=33, device="cpu")


@pytest.mark.parametrize("kind", KINDS)
def test_a_loader_begins_again_and_goes_on_counting_its_waits(many, kind):
    loader = EpisodeLoader(many, sampler(many), kind=kind, **OPTIONS)
    assert loader.waited == 0
    first = [batch.frames for batch in loader]
    waited = loader.waited
    assert waited > 0
    assert all(map(torch.equal, first, [batch.frames for batch in loader]))
    assert loader.waited > waited


@pytest.mark.parametrize("kind", KINDS)
def test_episodes_are_drawn_no_further_ahead_than_is_prefetched(many, kind):
    asked = []

    def endless():
        while True:
            asked.append(len(asked))
            yield sampler(many)[0]

    batches = iter(EpisodeLoader(many, endless(), kind=kind, prefetch=3, **OPTIONS))
    for _ in range(5):
        next(batches)
    assert len(asked) <= 5 + 3 + 1


@pytest.mark.gpu
def test_gpu_batches_have_all_their_parts_on_the_gpu(many, cuda):
    for batch in EpisodeLoader(many, sampler(many, second="query"), size=24, device=cuda):
        parts = [batch.frames, batch.second, batch.support_labels, batch.query_labels]
        assert all(part.device.type == "cuda" for part in parts)
