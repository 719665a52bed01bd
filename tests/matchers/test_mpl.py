"""MPL against published numbers: each query alone, and the published transductive way."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasd.errors import UserError
from tasd.matchers import build, mpl
from tasd.matchers.arithmetic import cosine_distances, shot_means
from tasd.matchers.bimhm import bidirectional_hausdorff
from tasd.matchers.mpl import MPL, crossed_keys
from tests.matchers.golden import Golden

NAMES = {
    "proto_generator.transformer.w_qs": "shots.query",
    "proto_generator.transformer.w_ks": "shots.key",
    "proto_generator.transformer.w_vs": "shots.value",
    "proto_generator.transformer.fc": "shots.out",
    "proto_generator.transformer.layer_norm": "shots.norm",
    "context2.layers.0.0.norm": "context.attention.norm",
    "context2.layers.0.0.fn.to_out.0": "context.attention.to_out",
    "context2.layers.0.1.net.0": "context.mlp.0",
    "context2.layers.0.1.net.3": "context.mlp.3",
}
ATTENTION = "w/context2.layers.0.0.fn.to_"
# The metric within a window, which is no part of this matcher: it never limits 8 frames.
WINDOW = ("window_dist", "window_bimhm_w1", "window_bimhm_w2", "window_bimhm_w9")


def published(golden: Golden, **options: bool | int) -> MPL:
    weights = golden.weights(NAMES)
    parts = [golden[f"{ATTENTION}{part}.weight"] for part in ("q", "k", "v")]
    weights["context.attention.to_qkv.weight"] = torch.cat(parts)
    matcher = MPL(32, **options)  # type: ignore[arg-type]
    matcher.load_state_dict(weights)
    return matcher.to(golden.dtype).eval()


def scored_alone(golden: Golden, matcher: MPL, which: str) -> dict[str, Tensor]:
    """Compute all that the golden file holds of an episode whose queries are scored alone."""
    given = golden.task(which)
    support = given.support[0].clone().requires_grad_()
    query = given.query[0].clone().requires_grad_()
    logits = matcher(replace(given, support=support[None], query=query[None])).logits[0]
    loss = functional.cross_entropy(logits, golden["query_labels"])
    of_support, of_query = torch.autograd.grad(loss, [support, query])
    pairs = bidirectional_hausdorff(cosine_distances(given.query, given.support))
    classes = matcher.prototypes(given.support, given.support_labels, way=5)
    ours = {
        "logits_one_query_at_a_time": logits,
        "loss_ce_one_query_at_a_time": loss,
        "grad_support_one_query_at_a_time": of_support,
        "grad_query_one_query_at_a_time": of_query,
        "bimhm_class_dist": shot_means(pairs, given.support_labels, way=5)[0],
        "prototypes": classes[0],
        "prototypes_mixed": matcher.context(classes)[0],
    }
    named = {f"{name}_{which}": value for name, value in ours.items()}
    return {name: value for name, value in named.items() if name in golden.arrays}


def test_every_golden_array_of_mpl_with_each_query_alone_is_matched(
    shared: Path, dtype: torch.dtype
):
    golden = Golden(shared, "mpl", dtype)
    matcher = published(golden)
    ours = scored_alone(golden, matcher, "k1") | scored_alone(golden, matcher, "kn")
    golden.assert_all_match(ours, others=WINDOW)


@pytest.mark.parametrize("nearest", [0, 1, 2, 3])
def test_the_transductive_option_is_the_published_way(
    shared: Path, dtype: torch.dtype, nearest: int
):
    golden = Golden(shared, "mpl", dtype)
    matcher = published(golden, transductive=True, nearest=nearest)
    assert matcher.transductive
    for which in ("k1", "kn"):
        logits = matcher(golden.task(which)).logits[0]
        golden.assert_match({f"released_logits_top{nearest}_{which}": logits})


def test_the_transductive_way_is_not_that_of_each_query_alone(shared: Path):
    golden = Golden(shared, "mpl", torch.float64)
    logits = published(golden, transductive=True)(golden.task("kn")).logits[0]
    with pytest.raises(AssertionError):
        golden.assert_match({"logits_one_query_at_a_time_kn": logits})


def test_a_single_query_is_scored_the_same_both_ways(shared: Path):
    golden = Golden(shared, "mpl", torch.float64)
    given = golden.task("kn")
    one = replace(given, query=given.query[:, :1])
    alone, together = published(golden), published(golden, transductive=True, nearest=1)
    torch.testing.assert_close(together(one).logits, alone(one).logits)
    torch.testing.assert_close(alone(one).logits, alone(given).logits[:, :1])


def test_uncrossed_numbers_are_told_apart(shared: Path, monkeypatch: pytest.MonkeyPatch):
    golden = Golden(shared, "mpl", torch.float64)

    def uncrossed(query: Tensor, classes: Tensor, *, matched_by: Tensor) -> mpl.Keys:
        frames = cosine_distances(query, matched_by)
        time = query.shape[2]
        by_query = functional.one_hot(frames.argmin(dim=4), time).sum(dim=3).to(query.dtype)
        by_class = functional.one_hot(frames.argmin(dim=3), time).sum(dim=3).to(query.dtype)
        return mpl.Keys(
            query=torch.einsum("eqwt,eqtc->eqc", by_class, query) / (time * classes.shape[1]),
            classes=torch.einsum("eqwt,ewtc->eqwc", by_query, classes) / time,
        )

    monkeypatch.setattr(mpl, "crossed_keys", uncrossed)
    with pytest.raises(AssertionError):
        golden.assert_match(scored_alone(golden, published(golden), "kn"))


def test_keys_are_those_of_plain_loops():
    generator = torch.Generator().manual_seed(3)
    query, classes, matched = (
        torch.randn(1, count, 4, 5, generator=generator, dtype=torch.float64) for count in (2, 3, 3)
    )
    keys = crossed_keys(query, classes, matched_by=matched)
    for q in range(2):
        named = []
        for c in range(3):
            cosines = functional.cosine_similarity(
                query[0, q][:, None], matched[0, c][None], dim=2
            ).tolist()
            of_query = [max(range(4), key=lambda t: cosines[t][a]) for a in range(4)]
            of_class = [max(range(4), key=lambda t: cosines[b][t]) for b in range(4)]
            expected = torch.stack([classes[0, c, t] for t in of_query]).mean(0)
            torch.testing.assert_close(keys.classes[0, q, c], expected)
            named += [query[0, q, t] for t in of_class]
        torch.testing.assert_close(keys.query[0, q], torch.stack(named).mean(0))


def test_query_videos_are_added_only_where_queries_may_see_each_other():
    with pytest.raises(UserError, match=r"'nearest' .* is 1, .*transductive=true"):
        build("mpl", 16, nearest=1)
    assert build("mpl", 16, nearest=1, transductive=True).transductive
    assert not build("mpl", 16).transductive
