from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional

from tasd.matchers.hyrsm import HyRSM
from tests.matchers.golden import Golden

NAMES = {
    "temporal_atte_before.norm": "intra_video.norm",
    "temporal_atte_before.fn.to_qkv": "intra_video.to_qkv",
    "temporal_atte_before.fn.to_out.0": "intra_video.to_out",
    "temporal_atte.w_qs": "task_relation.query",
    "temporal_atte.w_ks": "task_relation.key",
    "temporal_atte.w_vs": "task_relation.value",
    "temporal_atte.layer_norm": "task_relation.norm",
    "temporal_atte.fc": "task_relation.out",
    "layer2.0": "combine",
    "classification_layer": "classifier",
}
HEADS = {"1shot": "mean", "5shot": "prototype"}


def published(golden: Golden, head: str, setting: str) -> HyRSM:
    a, b = golden[f"position_{setting}"].tolist()
    heads = int(golden.number("heads"))
    matcher = HyRSM(32, heads=heads, position_a=a, position_b=b, shots=HEADS[head], classes=7)
    weights = golden.weights(NAMES)
    weights["combine.weight"] = weights["combine.weight"].squeeze(2)
    matcher.load_state_dict(weights)
    return matcher.to(golden.dtype).eval()


def test_every_golden_array_of_hyrsm_is_matched(shared: Path, dtype: torch.dtype):
    golden = Golden(shared, "hyrsm", dtype)
    ours = {}
    for head in HEADS:
        for setting in ("a", "b"):
            matcher = published(golden, head, setting)
            assert matcher.classifier is not None
            for which in ("k1", "kn"):
                task = golden.task(which)
                run = f"{head}_{setting}_{which}"
                ours[f"logits_{run}"] = matcher(task).logits[0]
                frames = matcher.within(torch.cat([task.support, task.query], dim=1))
                ours[f"class_logits_{run}"] = matcher.classifier(frames).flatten(0, 2)
    matcher, task = published(golden, "1shot", "a"), golden.task("k1")
    support, query = (matcher.pack(matcher.within(x)) for x in (task.support, task.query))
    related = matcher.relate(support, query)
    of_frames = task.support.shape[2]  # rows of the frames, then of the video
    tokens = matcher.task_relation(support[:, :, of_frames], query[:, :, of_frames])
    ours["task_relation_out_1shot_a_k1"] = tokens[0]
    ours["support_out_1shot_a_k1"] = related.support[0]
    ours["query_out_1shot_a_k1"] = related.query[0]
    golden.assert_all_match(ours, others=["position_a", "position_b", "heads"])


def test_the_classifier_names_every_frame_of_support_and_query(shared: Path):
    golden = Golden(shared, "hyrsm", torch.float64)
    matcher = published(golden, "5shot", "a")
    of_support, of_query = golden["support_labels"], golden["query_labels"]
    task = replace(
        golden.task("kn"), support_classes=of_support[None] + 2, query_classes=of_query[None] + 2
    )
    classes = torch.cat([of_support, of_query]).repeat_interleave(8) + 2
    expected = functional.cross_entropy(golden["class_logits_5shot_a_kn"], classes)
    torch.testing.assert_close(matcher(task).losses["classifier"], expected)
