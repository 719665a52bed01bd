"""Episodes: disjoint, balanced, uniform, and the same on any machine."""

import hashlib
import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasd.episodes import EpisodeSampler, View, evaluation_view
from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError


def named(classes: int, videos: int) -> dict[str, list[str]]:
    return {f"c{c:02d}": [f"c{c:02d}/v{v:03d}" for v in range(videos)] for c in range(classes)}


def sampler(videos, **options) -> EpisodeSampler:
    shape = {"way": 5, "shot": 1, "queries": 1, "length": 100, "seed": 0}
    return EpisodeSampler(videos, **(shape | options))


@st.composite
def choices(draw):
    """Videos and options of a sampler."""
    way = draw(st.integers(2, 5))
    shot, queries = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    classes = draw(st.integers(way, 8))
    sizes = [draw(st.integers(shot + queries, 14)) for _ in range(classes)]
    videos = {f"c{c}": [f"c{c}/v{v}" for v in range(size)] for c, size in enumerate(sizes)}
    seed, training = draw(st.integers(0, 2**40)), draw(st.booleans())
    shape = {"way": way, "shot": shot, "queries": queries, "length": 4}
    return videos, shape | {"seed": seed, "training": training}


@given(choices())
@settings(max_examples=60, deadline=None)
def test_every_episode_is_disjoint_balanced_and_of_its_classes(choice):
    videos, options = choice
    way, shot, queries = options["way"], options["shot"], options["queries"]
    for episode in sampler(videos, **options):
        support = [view.video for view in episode.support]
        query = [view.video for view in episode.query]
        assert len({*support, *query}) == len(support) + len(query)
        assert len(set(episode.classes)) == way
        assert Counter(episode.support_labels) == dict.fromkeys(range(way), shot)
        assert Counter(episode.query_labels) == dict.fromkeys(range(way), queries)
        labels = episode.support_labels + episode.query_labels
        for video, label in zip(support + query, labels, strict=True):
            assert video in videos[episode.classes[label]]


@given(choices(), st.randoms())
@settings(max_examples=30, deadline=None)
def test_episodes_do_not_depend_on_the_order_of_classes_or_files(choice, shuffler: random.Random):
    videos, options = choice
    names = list(videos)
    shuffler.shuffle(names)
    shuffled = {name: list(videos[name]) for name in names}
    for ids in shuffled.values():
        shuffler.shuffle(ids)
    assert list(sampler(shuffled, **options)) == list(sampler(videos, **options))


@given(choices())
@settings(max_examples=60, deadline=None)
def test_the_table_holds_the_episodes_that_the_sampler_gives_one_by_one(choice):
    made = sampler(choice[0], **choice[1])
    table = EpisodeTable.draw(made)
    assert len(table) == len(made)
    for i, episode in enumerate(made):
        assert tuple(table.classes[c] for c in table.chosen[i]) == episode.classes
        for rows, views in ((table.support[i], episode.support), (table.query[i], episode.query)):
            assert [table.videos[v] for v in rows.ravel()] == [view.video for view in views]


def test_an_episode_depends_on_its_number_and_seed_and_not_on_the_length():
    short, long = sampler(named(8, 9), length=5), sampler(named(8, 9), length=5000)
    assert short[3] == long[3]
    assert short[3] != short[4]
    assert short[3] != sampler(named(8, 9), seed=1)[3]


def test_the_first_episodes_are_the_same_on_any_machine():
    made = sampler(named(10, 12), shot=2, queries=3, training=True, second="support", jitter=0.4)
    drawn = [
        [e.classes, [[v.video, v.positions, v.crop, v.flip, v.jitter] for v in e.views]]
        for e in (made[0], made[1], made[99])
    ]
    assert digest(json.dumps(drawn)) == GOLDEN_VIEWS
    assert EpisodeTable.draw(sampler(named(24, 100), length=1000)).hash == GOLDEN_TABLE


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


GOLDEN_VIEWS = "7ddd32903df5e2f45e648bbe40b0d9dce8d7fda0626c132289a93e0ee729b4a7"
GOLDEN_TABLE = "362df2087d9ca02a35dd2f06bc825d74327717357c678ddd20452928069886ad"


def test_classes_and_videos_are_drawn_uniformly():
    table = EpisodeTable.draw(sampler(named(12, 10), length=20_000, shot=2, queries=1))
    # Each class is in 5 of 12 episodes, each of its videos in 3 of 10 of those.
    assert far_from_even(np.bincount(table.chosen.ravel(), minlength=12), 5 / 12) < 4
    for place in range(2):
        assert far_from_even(np.bincount(table.support[:, :, place].ravel()), 5 / 120) < 4.5
    assert far_from_even(np.bincount(table.query.ravel()), 5 / 120) < 4.5


def far_from_even(counts, share: float, episodes: int = 20_000) -> float:
    """The largest deviation of a count, in standard deviations."""
    return float(np.abs(counts - episodes * share).max() / np.sqrt(episodes * share * (1 - share)))


def test_pairs_of_classes_meet_equally_often():
    table = EpisodeTable.draw(sampler(named(6, 4), way=2, length=20_000))
    pairs = np.bincount(table.chosen @ [6, 1], minlength=36).reshape(6, 6)
    assert (pairs.diagonal() == 0).all()
    assert far_from_even(pairs[~np.eye(6, dtype=bool)], 1 / 30) < 4.5


def test_training_views_lie_in_their_segments_and_differ_from_video_to_video():
    views = [view for i in range(40) for view in sampler(named(5, 4), training=True)[i].views]
    for view in views:
        assert [int(8 * p) for p in view.positions] == list(range(8))
        assert all(0 <= side <= 1 for side in view.crop)
        assert view.jitter == (1.0, 1.0, 1.0)
    assert len({view.crop for view in views}) == len(views)
    assert 0.4 < np.mean([view.flip for view in views]) < 0.6
    assert not any(v.flip for v in sampler(named(5, 4), training=True, flip=False)[0].views)


def test_test_views_are_the_middles_of_the_segments():
    view = sampler(named(5, 4))[0].support[0]
    assert view == evaluation_view(view.video, 8)
    assert view.frames(32) == [2, 6, 10, 14, 18, 22, 26, 30]
    assert view.frames(3) == [0, 0, 0, 1, 1, 2, 2, 2]
    assert View("x", (0.999999999999,)).frames(7) == [6]


@pytest.mark.parametrize("whose", ["support", "query"])
def test_a_second_view_shows_the_same_videos_otherwise(whose):
    episode = sampler(named(5, 6), training=True, second=whose)[0]
    first = getattr(episode, whose)
    assert [v.video for v in episode.second] == [v.video for v in first]
    assert all(a.crop != b.crop for a, b in zip(episode.second, first, strict=True))
    assert episode.views == episode.support + episode.query + episode.second
    without = sampler(named(5, 6), training=True)[0]
    assert without.second == ()
    assert without.support == episode.support


def grouped(classes: int, groups: int, each: int):
    videos = named(classes, groups * each)
    return videos, {v: f"g{i // each}" for ids in videos.values() for i, v in enumerate(ids)}


def test_with_distinct_groups_support_and_query_come_from_different_sources():
    videos, source = grouped(6, 4, 5)
    made = sampler(videos, shot=2, queries=3, distinct_groups=source)
    together = 0
    for episode in made:
        for label in range(5):
            ours = [source[v.video] for v in episode.support[2 * label : 2 * label + 2]]
            theirs = [source[v.video] for v in episode.query[3 * label : 3 * label + 3]]
            assert not {*ours} & {*theirs}
        table = sampler(videos, shot=2, queries=3)[episode.index]
        together += any(
            source[s.video] == source[q.video] and s.video[:3] == q.video[:3]
            for s in table.support
            for q in table.query
        )
    assert together > 50  # without the option they do share sources
    same, other = EpisodeTable.draw(made), EpisodeTable.draw(sampler(videos, shot=2, queries=3))
    assert EpisodeTable.draw(made).hash == same.hash != other.hash


def test_a_class_of_one_source_is_refused_for_distinct_groups():
    videos, source = grouped(6, 1, 5)
    with pytest.raises(UserError, match=r"'c00' .* come from one source; .*leave it out"):
        sampler(videos, distinct_groups=source)


def test_too_few_videos_of_other_sources_are_refused():
    videos, source = grouped(6, 2, 2)
    with pytest.raises(UserError, match=r"other sources .* 3 queries: lower --queries"):
        list(sampler(videos, queries=3, distinct_groups=source))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"way": 9}, r"--way 9 .* \(8\); use --way 8 or fewer"),
        ({"way": 1}, "way is at least 2"),
        ({"shot": 0}, "--shot and --queries at least 1"),
        ({"queries": 6}, r"class 'c00' of the store has 6 videos; .* needs 7: lower --queries"),
    ],
)
def test_an_episode_that_cannot_be_is_refused_in_one_line(options, message):
    with pytest.raises(UserError, match=message) as refusal:
        sampler(named(8, 6), **options)
    assert "\n" not in str(refusal.value)


def test_the_sampler_ends():
    made = sampler(named(5, 4), length=3)
    assert len(list(made)) == len(made) == 3
    with pytest.raises(IndexError):
        made[3]
