"""Batches over cached features give what episode by episode from pixels gives."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tasd import prepared
from tasd.episode_files import load_episodes, save_episodes
from tasd.episode_table import EpisodeTable, drawn
from tasd.episodes import EpisodeSampler, middle_view
from tasd.errors import UserError
from tasd.evaluate import pair_table_pays, score
from tasd.extract import extract
from tasd.features import FeatureStore
from tasd.loader import EpisodeLoader
from tasd.matchers import MATCHERS, build
from tasd.store import Store
from tasd.types import Features, Task
from tests.stores import write_store

WIDTH, TIME = 16, 8
CLASSES = {f"c{c}": tuple(f"c{c}/v{v}" for v in range(7)) for c in range(6)}


def feature_store(*, maps: bool = False, dtype=np.float32, seed: int = 0) -> FeatureStore:
    """Random features in which videos of a class are alike, in an order of their own."""
    random = np.random.default_rng(seed)
    videos = [(video, name) for name, ids in CLASSES.items() for video in ids]
    random.shuffle(videos)
    centre = {name: random.normal(size=WIDTH) for name in CLASSES}
    frames = [centre[name] + random.normal(size=(TIME, WIDTH)) for _, name in videos]
    features = np.array(frames, dtype)
    noise = random.normal(size=(len(videos), TIME, WIDTH, 7, 7))
    return FeatureStore(
        path=Path("features.h5"),
        features=features,
        maps=(features[..., None, None] + noise).astype(np.float16) if maps else None,
        videos=tuple(video for video, _ in videos),
        video_class=tuple(name for _, name in videos),
        splits={"train": (), "val": (), "test": tuple(CLASSES)},
    )


def episodes(count: int = 12, **options) -> EpisodeTable:
    shape = {"way": 5, "shot": 1, "queries": 2, "length": count, "seed": 3}
    return drawn(EpisodeSampler(CLASSES, **(shape | options)))


def matcher_called(name: str, **options):
    torch.manual_seed(0)
    return build(name, WIDTH, classes=4, frames=TIME, **options).eval()


def one_by_one(features: FeatureStore, table: EpisodeTable, matcher) -> np.ndarray:
    """Each episode alone, through the whole matcher, from the raw features."""
    row = {video: i for i, video in enumerate(features.videos)}
    logits = []
    for support, query in zip(table.support, table.query, strict=True):
        picked = [[row[table.videos[v]] for v in part.ravel()] for part in (support, query)]
        frames = [torch.from_numpy(features.features[rows])[None].float() for rows in picked]
        maps = [None, None]
        if features.maps is not None:
            maps = [torch.from_numpy(features.maps[r]).transpose(1, 2)[None] for r in picked]
        task = Task(
            way=table.way,
            support=frames[0],
            query=frames[1],
            support_labels=torch.arange(table.way).repeat_interleave(table.shot)[None],
            support_maps=maps[0],
            query_maps=maps[1],
        )
        with torch.inference_mode():
            logits.append(matcher(task).logits[0].numpy())
    return np.stack(logits)


@pytest.mark.parametrize("shot", [1, 2])
@pytest.mark.parametrize("name", MATCHERS)
def test_scoring_in_batches_equals_scoring_one_by_one(name, shot):
    features = feature_store(maps=MATCHERS[name].needs_maps)
    matcher = matcher_called(name)
    table = episodes(shot=shot)
    result = score(features, table, matcher, batch=5)
    direct = one_by_one(features, table, matcher)
    scale = max(1.0, float(np.abs(direct).max()))
    np.testing.assert_allclose(result.logits, direct, atol=1e-5 * scale)
    predicted = np.take_along_axis(table.chosen, direct.argmax(axis=2), axis=1)
    np.testing.assert_array_equal(result.predicted, predicted)


@pytest.mark.parametrize("name", [name for name in MATCHERS if not MATCHERS[name].needs_maps])
def test_the_number_of_episodes_in_a_batch_changes_nothing(name):
    features, matcher, table = feature_store(), matcher_called(name), episodes(7)
    whole = score(features, table, matcher, batch=7).logits
    for batch in (1, 3, None):
        np.testing.assert_allclose(
            score(features, table, matcher, batch=batch).logits, whole, atol=1e-4
        )


@pytest.mark.parametrize(
    ("name", "options", "shot"),
    [
        ("bimhm", {}, 1),
        ("bimhm", {"shots": "mean"}, 3),
        ("otam", {}, 2),
        ("prototype", {}, 2),
        ("prototype", {"metric": "squared_l2"}, 1),
        ("trx", {}, 1),
    ],
)
def test_the_table_of_all_pairs_gives_the_same_scores(name, options, shot):
    features, matcher = feature_store(), matcher_called(name, **options)
    table = episodes(300, shot=shot)
    assert pair_table_pays(matcher, table)
    few = dataclasses.replace(table, support=table.support[:2], query=table.query[:2])
    assert not pair_table_pays(matcher, few)
    by_pairs = score(features, table, matcher).logits[:2]
    in_batches = score(features, few, matcher).logits
    np.testing.assert_allclose(by_pairs, in_batches, atol=1e-5, rtol=1e-6)


def test_matchers_that_look_at_more_than_pairs_get_no_table():
    many = episodes(3000)
    assert not pair_table_pays(matcher_called("hyrsm"), many)  # looks at the other classes
    assert not pair_table_pays(matcher_called("bimhm"), episodes(3000, shot=2))  # prototypes
    assert not pair_table_pays(matcher_called("trx"), episodes(3000, shot=2))


@pytest.mark.parametrize("name", ["molo", "strm", "ta2n"])
def test_what_is_too_large_to_keep_is_prepared_in_each_episode(name, monkeypatch):
    features, matcher, table = feature_store(maps=True), matcher_called(name), episodes(4)
    kept = score(features, table, matcher).logits
    monkeypatch.setattr(prepared, "KEPT_BYTES", 0)
    with torch.inference_mode():
        assert not prepared.prepare(matcher, features, table, torch.device("cpu")).ready
    again = score(features, table, matcher).logits
    np.testing.assert_allclose(again, kept, atol=1e-5, rtol=1e-5)


def test_a_video_is_prepared_once(monkeypatch):
    matcher, seen = matcher_called("trx"), []
    prepare = matcher.prepare
    monkeypatch.setattr(matcher, "prepare", lambda f: seen.append(len(f.frames)) or prepare(f))
    score(feature_store(), episodes(50), matcher)
    assert sum(seen) == sum(map(len, CLASSES.values()))


def test_float16_features_are_compared_in_float32():
    features = feature_store(dtype=np.float16)
    wide = dataclasses.replace(features, features=features.features.astype(np.float32))
    table, matcher = episodes(), matcher_called("bimhm")
    logits = score(features, table, matcher).logits
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, score(wide, table, matcher).logits)


def test_a_matcher_that_needs_maps_refuses_a_file_without():
    with pytest.raises(UserError, match=r"MoLo reads feature maps and features.h5 has none; make"):
        score(feature_store(), episodes(), matcher_called("molo"))


def test_scores_that_are_not_finite_are_refused():
    broken = matcher_called("trx")
    next(broken.parameters()).data.fill_(float("nan"))
    with pytest.raises(UserError, match=r"TRX gives scores that are not finite on features.h5"):
        score(feature_store(), episodes(), broken)


def test_the_result_names_classes_across_episodes():
    table = episodes(200)
    result = score(feature_store(), table, matcher_called("prototype"))
    for e in (0, 17):
        for q in range(10):
            video = table.videos[table.query[e].ravel()[q]]
            assert table.classes[result.truth[e, q]] == video.split("/")[0]
            best = table.classes[table.chosen[e][result.logits[e, q].argmax()]]
            assert table.classes[result.predicted[e, q]] == best
    assert result.accuracy.shape == (200,)
    assert result.accuracy.mean() > 0.5  # the classes can be told


# From pixels, through a store, the loader and a network.


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
        view=lambda video: middle_view(video, 4),
        **(settings | options),
    )


@pytest.mark.parametrize("name", ["bimhm", "otam"])
def test_cached_evaluation_equals_the_direct_way_from_pixels(network, open_store, tmp_path, name):
    sampler = EpisodeSampler(
        open_store.classes("test"), way=5, shot=1, queries=2, length=6, seed=0, frames=4
    )
    matcher = build(name, WIDTH)
    features = extracted(network, open_store, tmp_path / "features.h5")
    result = score(features, drawn(sampler), matcher)
    for batch in EpisodeLoader(open_store, sampler, size=64, device="cpu", kind="torch"):
        with torch.inference_mode():
            said = network(batch.frames).frames[None]
            shots = len(batch.support_labels)
            task = Task(5, said[:, :shots], said[:, shots:], batch.support_labels[None])
            direct = matcher(task).logits[0].numpy()
        cached = result.logits[batch.episode.index]
        np.testing.assert_allclose(cached, direct, atol=1e-5)
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
    assert features.maps.dtype == np.float16
    assert features.features.dtype == np.float32
    assert list(features.classes("test")) == [f"test class {i}" for i in range(5)]
    assert features.about["network"] == "student"
    assert features.about["crop"] == 64
    assert features.trained_on == ("train class 0",)
    assert features.groups["test class 0/v3"] == "3"


def test_half_features_are_the_same_but_for_their_last_digits(network, open_store, tmp_path):
    whole = extracted(network, open_store, tmp_path / "a.h5")
    half = extracted(network, open_store, tmp_path / "b.h5", half=True)
    assert half.features.dtype == np.float16
    np.testing.assert_allclose(half.features, whole.features, atol=1e-3)


def test_a_network_that_gives_nan_leaves_no_file(network, open_store, tmp_path):
    network.mix.weight.data[0] = float("nan")
    with pytest.raises(UserError, match="NaN or infinity for video 'test class 0/v0'; take"):
        extracted(network, open_store, tmp_path / "features.h5")
    assert list(tmp_path.iterdir()) == []


def test_values_too_large_for_float16_are_refused(network, open_store, tmp_path):
    network.second.weight.data *= 1e7
    with pytest.raises(UserError, match="float16 ends at 65504"):
        extracted(network, open_store, tmp_path / "features.h5", maps=True)


def test_one_frame_for_all_is_another_view(network, open_store, tmp_path):
    from tasd.episodes import View

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


# Episodes as data.


def test_episodes_come_back_from_a_file_as_they_were(tmp_path):
    table = episodes(20, shot=2)
    save_episodes(tmp_path / "episodes.json", table)
    again = load_episodes(tmp_path / "episodes.json")
    assert again.hash == table.hash
    np.testing.assert_array_equal(again.query, table.query)
    matcher, features = matcher_called("bimhm"), feature_store()
    one, other = (score(features, t, matcher) for t in (table, again))
    np.testing.assert_array_equal(one.logits, other.logits)


def test_the_hash_goes_by_names_and_not_by_numbers():
    table = episodes(20)
    order = np.random.default_rng(0).permutation(len(table.videos))
    place = np.argsort(order)
    renumbered = EpisodeTable(
        classes=table.classes,
        videos=tuple(table.videos[i] for i in order),
        video_class=table.video_class[order],
        support=place[table.support],
        query=place[table.query],
    )
    assert renumbered.hash == table.hash
    assert episodes(20, seed=4).hash != table.hash


def changed_file(path: Path, **changes) -> Path:
    import json

    save_episodes(path, episodes(3))
    tree = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(tree))
    return path


TWO = [[[0], [7]]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "other"}, 'is no file of episodes: "format" must be "tasd-episodes"'),
        ({"version": 2}, "has version 2 of the episode format, this tasd reads 1"),
        ({"videos": "all"}, '"videos" must be a list of names'),
        ({"videos": ["a", "b", "a"]}, "\"videos\" holds 'a' twice"),
        ({"video_class": [0]}, '"video_class" must have one entry for each of "videos"'),
        ({"support": [[[0], [7, 8]]]}, "every episode of the same shape; split the file"),
        ({"support": [[[0.5], [7]]]}, "every episode of the same shape"),
        ({"support": None}, '"support" must be episodes x way x videos of integers'),
        ({"query": [[[1], [99]]]}, '"query" holds 99, but there are 42 of them'),
        ({"query": [[[-1], [8]]]}, '"query" holds 8'),
        ({"support": TWO, "query": [[[1]]]}, "must agree in episodes and in a way >= 2"),
        ({"support": TWO, "query": [[[1], [2]]]}, "episode 0 has videos of several classes"),
        ({"support": [[[0], [1]]], "query": [[[2], [3]]]}, "episode 0 has the same class twice"),
        ({"support": TWO, "query": [[[0], [8]]]}, "episode 0 has the same video twice"),
    ],
)
def test_mistakes_in_a_file_of_episodes_are_told(tmp_path, changes, said):
    path = changed_file(tmp_path / "episodes.json", **changes)
    with pytest.raises(UserError) as refused:
        load_episodes(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_or_no_json_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        load_episodes(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        load_episodes(tmp_path / "text.json")


def test_the_same_videos_give_the_same_episodes_from_any_store(tmp_path, small_store):
    again = write_store(tmp_path / "again", frames=3)
    with Store(small_store) as one, Store(again) as other:
        tables = [drawn(EpisodeSampler(s.classes("test"), 5, 1, 1, 50, 0)) for s in (one, other)]
    assert tables[0].hash == tables[1].hash
