from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional

from tasd.matchers.arithmetic import shots_by_class
from tasd.matchers.base import prepared
from tasd.matchers.strm import STRM, nearest_tuple_distances
from tests.matchers.golden import Golden
from tests.matchers.test_trx import RUNS, names

NAMES = {
    "attn_pat.query_proj": "patches.query",
    "attn_pat.key_proj": "patches.key",
    "attn_pat.value_conv": "patches.value",
    "attn_pat.gamma": "patches.gamma",
    "attn_pat.Bot_MLP.inp_fc": "patches.mlp.0",
    "attn_pat.Bot_MLP.hid_fc": "patches.mlp.2",
    "attn_pat.Bot_MLP.out_fc": "patches.mlp.4",
    "fr_enrich.Tok_MLP.inp_fc": "mixer.over_time.0",
    "fr_enrich.Tok_MLP.out_fc": "mixer.over_time.2",
    "fr_enrich.Bot_MLP.inp_fc": "mixer.over_channels.0",
    "fr_enrich.Bot_MLP.out_fc": "mixer.over_channels.2",
}


def published(golden: Golden, cardinalities: tuple[int, ...]) -> STRM:
    renamed = dict(NAMES)
    for place, module in enumerate(RUNS[cardinalities]):
        renamed |= names(module, f"trx.attentions.{place}")
        renamed[f"new_dist_loss_post_pat.{module}.clsW"] = f"embeddings.{place}.embed"
    matcher = STRM(32, cardinalities=cardinalities, width=24)
    matcher.load_state_dict(golden.weights(renamed))
    return matcher.to(golden.dtype).eval()


def test_every_golden_array_of_strm_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "strm", dtype)
    ours = {}
    for cardinalities in RUNS:
        matcher = published(golden, cardinalities)
        for which in ("k1", "kn"):
            task, run = golden.task(which), "".join(map(str, cardinalities)) + f"_{which}"
            second = matcher.post_patch_scores(prepared(matcher, task))
            ours[f"logits_combined_{run}"] = matcher(task).logits
            ours[f"logits_post_pat_{run}"] = second
            ours[f"logits_{run}"] = matcher.trx_scores(prepared(matcher, task))
        task = golden.task("k1")
        for part, maps in (("support_k1", task.support_maps), ("query", task.query_maps)):
            assert maps is not None
            frames = matcher.patches(maps[0])
            ours[f"frame_feat_after_patch_{part}"] = frames
            ours[f"frame_feat_after_mixer_{part}"] = matcher.mixer(frames)
    golden.assert_all_match(ours)


def test_training_learns_the_two_scores_apart(shared: Path):
    golden = Golden(shared, "strm", torch.float64)
    matcher = published(golden, (2,)).train()
    for module in matcher.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    labels = golden["query_labels"]
    scores = matcher(replace(golden.task("kn"), query_labels=labels[None]))
    torch.testing.assert_close(scores.logits, golden["logits_2_kn"])
    expected = functional.cross_entropy(golden["logits_post_pat_2_kn"][0], labels)
    torch.testing.assert_close(scores.losses["post_patch"], expected)


def test_the_second_score_is_the_distance_to_the_nearest_tuple_of_the_class():
    generator = torch.Generator().manual_seed(5)
    query = torch.randn(1, 2, 3, 4, generator=generator, dtype=torch.float64)
    support = torch.randn(1, 5, 3, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([[1, 0, 1, 1, 0]])
    shots = shots_by_class(labels, way=2)
    distances = nearest_tuple_distances(query, support, shots)
    for video in range(2):
        for name in range(2):
            tuples = support[0, labels[0] == name].flatten(0, 1)
            each = [min((mine - other).norm() for other in tuples) for mine in query[0, video]]
            torch.testing.assert_close(distances[0, video, name], torch.stack(each).mean())
