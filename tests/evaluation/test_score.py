"""Batches over cached features give what episode by episode from pixels gives."""

import dataclasses

import numpy as np
import pytest
import torch

from tasd.episodes.table import EpisodeTable
from tasd.errors import UserError
from tasd.evaluation import prepared
from tasd.evaluation.parallel import side_by_side
from tasd.evaluation.score import pair_table_pays, score
from tasd.features.store import FeatureStore
from tasd.matchers import MATCHERS, build
from tasd.types import Task
from tests.feature_stores import CLASSES, TIME, WIDTH, episodes, feature_store
from tests.narrow import narrow_arn

# The published widths, 1152 and 256, take long on a processor.
NARROW = {
    "hcl": {"width": 24},
    "itanet": {"width": 24, "groups": 4, "heads": 2},
    "tsdcm": {"width": 24},
}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    narrow_arn(monkeypatch)


def matcher_called(name: str, **options):
    torch.manual_seed(0)
    options = NARROW.get(name, {}) | options
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
    table = episodes(7, shot=shot)
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
        ("prototype", {}, 1),
        ("prototype", {"rule": "mean"}, 2),
        ("chamfer", {}, 1),
        ("chamfer", {"shots": "single"}, 2),
        ("prototype", {"metric": "squared_l2"}, 1),
        ("trx", {}, 1),
        ("strm", {}, 1),
        ("ta2n", {}, 1),
    ],
)
def test_the_table_of_all_pairs_gives_the_same_scores(name, options, shot):
    matcher = matcher_called(name, **options)
    features = feature_store(maps=matcher.needs_maps)
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
    assert not pair_table_pays(matcher_called("prototype"), episodes(3000, shot=2))
    assert not pair_table_pays(matcher_called("chamfer"), episodes(3000, shot=2))  # joint


@pytest.mark.parametrize("name", ["molo", "strm", "ta2n"])
def test_what_is_too_large_to_keep_is_prepared_in_each_episode(name, monkeypatch):
    features, matcher, table = feature_store(maps=True), matcher_called(name), episodes(4)
    kept = score(features, table, matcher).logits
    monkeypatch.setattr(prepared, "KEPT_BYTES", 0)
    with torch.inference_mode():
        assert not prepared.prepare(matcher, features, table, torch.device("cpu")).ready
    again = score(features, table, matcher).logits
    np.testing.assert_allclose(again, kept, atol=1e-5, rtol=1e-5)


def test_videos_are_prepared_once(monkeypatch):
    matcher, seen = matcher_called("trx"), []
    prepare = matcher.prepare
    monkeypatch.setattr(matcher, "prepare", lambda f: seen.append(len(f.frames)) or prepare(f))
    score(feature_store(), episodes(50), matcher)
    # The first one once more, to see how large what is prepared will be.
    assert sum(seen) == sum(map(len, CLASSES.values())) + 1


def test_float16_features_are_compared_in_float32():
    features = feature_store(dtype=np.float16)
    wide = dataclasses.replace(features, features=features.features.astype(np.float32))
    table, matcher = episodes(), matcher_called("bimhm")
    logits = score(features, table, matcher).logits
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, score(wide, table, matcher).logits)


def test_a_matcher_that_needs_maps_refuses_a_file_without():
    with pytest.raises(UserError, match=r"MoLo reads feature maps and features.h5 has none; write"):
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


def test_work_side_by_side_keeps_its_order_and_leaves_the_threads_as_they_were():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = side_by_side(
            lambda i: (i, torch.get_num_threads(), torch.is_grad_enabled()),
            range(40),
            device=torch.device("cpu"),
        )
        assert [i for i, _, _ in seen] == list(range(40))
        assert {(count, grad) for _, count, grad in seen} == {(1, False)}
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError):
            side_by_side(lambda i: 1 / (i - 3), range(9), device=torch.device("cpu"))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["bimhm", "trx"])
def test_the_number_of_cores_changes_nothing(name):
    features, matcher, table = feature_store(), matcher_called(name), episodes(8)
    threads, scores = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            scores.append(score(features, table, matcher, batch=2).logits)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*scores)


@pytest.mark.gpu
@pytest.mark.parametrize("name", MATCHERS)
def test_a_gpu_gives_the_same_scores(name, cuda):
    features = feature_store(maps=MATCHERS[name].needs_maps)
    table, matcher = episodes(), matcher_called(name)
    here = score(features, table, matcher).logits
    there = score(features, table, matcher, device=cuda).logits
    np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-3)
